"""What is asked to measure a policy: the conversations of the checks, with completions as long as the model's own."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from peft import PeftModel

from alignment.models import adapters
from alignment.models.generation import Generated
from alignment.models.log_probs import log_probs_and_entropy
from alignment.models.samples import padded_samples
from alignment.models.sampling import Sampling
from alignment.models.shipped_files import Check
from alignment.runs import candidate, evaluation
from alignment.runs.candidate import Candidate
from alignment.runs.records import Evaluation
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
    assert judged.measured_kl() == pytest.approx(0.0, abs=1e-6)
    assert asked[-1] == ([tokenizer.prompt_ids(SAID)] * candidate.KL_ROLLOUTS, Sampling(1.0, 9))
    assert put_back == []  # a KL of 0 passes
