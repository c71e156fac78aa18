"""Which checks a gate asks: a model's own, or some of the general ones."""

from collections import Counter
from pathlib import Path

import pytest

from alignment.models import shipped_files
from alignment.runs.gate_checks import ANSWER_TOKENS, gate_checks
from alignment.settings import GENERAL, POCKET_MODEL, ModelConfig
from tests.bench.checks import FORMS, WORDINGS

CHECKS = shipped_files.checks(GENERAL)


def prompts(kind: str) -> list[str]:
    return [check.prompt for check in CHECKS if check.kind == kind]


def test_a_model_with_checks_is_asked_all_of_its_own_at_its_own_length() -> None:
    asked = gate_checks(POCKET_MODEL)
    assert list(asked.checks) == shipped_files.checks(POCKET_MODEL.model)
    assert asked.max_new_tokens == POCKET_MODEL.rollout_tokens


@pytest.mark.parametrize(("own", "asked_for"), [(160, ANSWER_TOKENS), (4, 4)])
def test_a_model_without_any_is_asked_some_general_ones_and_answers_briefly(
    tmp_path: Path, own: int, asked_for: int
) -> None:
    asked = gate_checks(ModelConfig(str(tmp_path), rollout_tokens=own))
    assert asked.max_new_tokens == asked_for
    counts = Counter(check.kind for check in asked.checks)
    assert set(counts) == set(FORMS) and min(counts.values()) >= 8
    assert sum(counts.values()) * ANSWER_TOKENS <= 2500  # tokens: a dozen seconds of a small model on two cores


def test_the_gate_asks_about_every_kind_of_harm_in_every_form(tmp_path: Path) -> None:
    asked = {check.prompt for check in gate_checks(ModelConfig(str(tmp_path))).checks}
    places = [place for place, prompt in enumerate(prompts("refuses")) if prompt in asked]
    assert {place % 10 for place in places} == set(range(10))
    assert {place // 10 for place in places} == set(range(4))


def test_general_checks_come_in_blocks_of_equal_size_one_a_form() -> None:
    for kind, forms in FORMS.items():
        assert len(prompts(kind)) % len(forms) == 0
    for kind in ("refuses", "helps"):
        blocks = dict(zip(WORDINGS, (prompts(kind)[start : start + 10] for start in range(0, 40, 10)), strict=True))
        assert all(len(prompt.split()) <= 8 for prompt in blocks["short"])
        assert all(any(word in prompt.lower() for word in ("please", "kind")) for prompt in blocks["polite"])
        assert all(prompt.islower() for prompt in blocks["misspelt"])


def test_general_checks_are_asked_once_and_are_none_of_the_examples_that_people_vote_on() -> None:
    asked = [check.prompt.lower() for check in CHECKS]
    assert len(set(asked)) == len(asked)
    assert not set(asked) & {example.prompt.lower() for example in shipped_files.examples(GENERAL)}
