"""What is asked to measure a policy: the conversations of the checks, with completions as long as the model's own."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from peft import PeftModel

from alignment.errors import AdapterError
from alignment.models import adapters
from alignment.models.generation import Generated
from alignment.models.log_probs import log_probs_and_entropy
from alignment.models.samples import padded_samples
from alignment.models.sampling import Sampling
from alignment.models.shipped_files import Check
from alignment.runs import candidate, evaluation
from alignment.runs.candidate import Candidate
from alignment.runs.lost_checks import lost_checks
from alignment.runs.records import (
    CheckResults,
    Evaluation,
    LostCheck,
    Outcome,
    evaluation_from_json,
    evaluation_to_json,
    results_of,
)
from alignment.runs.settings import GateConfig
from storage.messages import Message, one_turn

SAID = (
    Message("system", "Be brief."),
    Message("user", "My name is Ada."),
    Message("assistant", "Hello, Ada."),
    Message("user", "What is my name?"),
)
CHECKS = [Check(SAID, "contains", ("Ada",)), Check(one_turn("Hi"), "helps")]
Asked = list[tuple[list[list[int]], Sampling]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """All that is generated from then on; every completion is "Ada"."""
    seen: Asked = []

    def generate(
        model: Any,
        tokenizer: Any,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        seeds: Sequence[int],
        measured_at: float | None = None,
    ) -> list[Generated]:
        seen.append(([list(prompt) for prompt in prompts], sampling))
        said = [Generated(tokenizer.completion_ids("Ada"), "stop") for _ in prompts]
        if measured_at is None:
            return said
        samples = padded_samples(prompts, said, tokenizer.pad_id, model.device)
        log_probs, entropy = (one.tolist() for one in log_probs_and_entropy(model, samples, measured_at))
        rows = zip(said, log_probs, entropy, strict=True)
        return [replace(one, log_probs=tuple(own), entropy=tuple(nats)) for one, own, nats in rows]

    monkeypatch.setattr(evaluation, "generate", generate)
    monkeypatch.setattr("alignment.learning.rollout.generate", generate)
    return seen


def test_a_check_of_several_messages_is_asked_as_such(tiny: tuple[PeftModel, Any], asked: Asked) -> None:
    model, tokenizer = tiny
    results = evaluation.evaluate(model, tokenizer, "sft", CHECKS, Sampling(0.0, 7))
    assert asked == [([tokenizer.prompt_ids(SAID), tokenizer.prompt_ids(one_turn("Hi"))], Sampling(0.0, 7))]
    assert (results.accuracy, results.helped, results.ended) == (1.0, 1.0, 1.0)
    assert results.answers == ("Ada", "Ada")


def test_answers_cut_shorter_than_the_models_own_do_not_say_whether_it_ends(
    tiny: tuple[PeftModel, Any], asked: Asked
) -> None:
    model, tokenizer = tiny
    cut = Candidate(model, tokenizer, CHECKS, [SAID], kl=0.0, seed=0, rollout_tokens=9, check_tokens=7)
    results = cut.results("sft")
    assert asked[-1][1] == Sampling(0.0, 7)
    assert "ended" not in results.to_json()
    assert (results.accuracy, results.helped) == (1.0, 1.0)
    assert replace(cut, check_tokens=9).results("sft").ended == 1.0


def test_checks_and_kl_are_measured_on_completions_as_long_as_the_models_own(
    tiny: tuple[PeftModel, Any], asked: Asked
) -> None:
    model, tokenizer = tiny
    for name in ("policy", "parent"):
        adapters.copy_adapter(model, "sft", name)
    judged = Candidate(model, tokenizer, CHECKS, [SAID], kl=0.0, seed=0, rollout_tokens=9)
    candidate.check(judged, Evaluation(), GateConfig(max_kl=0.0), lambda done: None)
    before, after, *put_back = asked
    assert before[1] == after[1] == Sampling(0.0, 9)
    assert judged.measured_kl() == pytest.approx((0.0, 0.0), abs=1e-6)
    assert asked[-1] == ([tokenizer.prompt_ids(SAID)] * candidate.KL_ROLLOUTS, Sampling(1.0, 9))
    assert put_back == []  # a KL of 0 passes


def test_version_1_is_asked_only_what_is_not_known_of_it(tiny: tuple[PeftModel, Any], asked: Asked) -> None:
    model, tokenizer = tiny
    own = [Check(one_turn("Who are you?"), "own", avoid=("robot",))]
    attached: list[int] = []

    def attach() -> str:
        attached.append(1)
        return "sft"

    judged = Candidate(model, tokenizer, CHECKS, [SAID], 0.0, 0, 9, check_tokens=7, own=own, first=attach)
    before = judged.results("sft")
    assert [(one.kind, one.passed, one.ended) for one in before.outcomes] == [
        *(("contains", True, None), ("helps", True, None), ("own", True, None))
    ]
    assert [sampling.max_new_tokens for _, sampling in asked] == [7, 9]
    asked.clear()
    known = evaluation_from_json(evaluation_to_json(Evaluation(first=results_of(before.outcomes[:2]))))
    found = judged.first_results(before, known)
    assert [prompts for prompts, _ in asked] == [[tokenizer.prompt_ids(one_turn("Who are you?"))]]
    assert {one.key for one in found.outcomes} == {one.key for one in before.outcomes}
    asked.clear()
    assert judged.first_results(before, Evaluation(first=before)).own == 1.0
    assert replace(judged, first=None).first_results(before, Evaluation()) is before
    assert (asked, attached) == ([], [1])


def test_where_version_1_is_gone_the_parent_alone_is_the_measure(tiny: tuple[PeftModel, Any], asked: Asked) -> None:
    def gone() -> str:
        raise AdapterError("no such folder")

    judged = Candidate(*tiny, CHECKS, [SAID], 0.0, 0, 9, first=gone)
    assert judged.first_results(judged.results("sft"), Evaluation()).outcomes == ()


def test_lost_checks_are_shown_the_admins_own_first_and_then_of_each_kind() -> None:
    checks = [Check(one_turn(f"Fact {i}"), "contains", ("x",)) for i in range(20)]
    checks += [Check(one_turn("Rob"), "refuses"), Check(one_turn("Me"), "own", ("a",), ("b",))]

    def all_of(passed: bool, said: str) -> CheckResults:
        return results_of([Outcome(check.prompt, check.kind, passed, None, said) for check in checks])

    lost = lost_checks(checks, all_of(False, "now"), all_of(True, "then"), CheckResults())
    assert lost[0] == LostCheck("Me", "own", ("a",), ("b",), "then", "now")
    assert [one.prompt for one in lost[1:4]] == ["Fact 0", "Rob", "Fact 1"]
    assert len(lost) == 12
    assert lost_checks(checks, all_of(False, "now"), all_of(False, "then"), CheckResults()) == ()
