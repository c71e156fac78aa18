"""Features of completions: means over their own tokens, whatever stands beside them in a pass."""

from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel

from alignment.models import adapters
from alignment.models.features import Written, completion_features, feature_groups, read_completions
from alignment.models.log_probs import completion_log_probs
from alignment.models.samples import text_samples
from alignment.models.style import STYLE, style
from alignment.models.texts import Text
from storage.messages import one_turn

Tiny = tuple[PeftModel, Any]


def written(tokenizer: Any, prompt: str, completion: str, *, ended: bool = True) -> Written:
    return Written(tokenizer.prompt_ids(one_turn(prompt)), tokenizer.completion_ids(completion, ended=ended), ended)


def test_hidden_states_are_averaged_over_the_completion_alone(tiny: Tiny) -> None:
    model, tokenizer = tiny
    one = written(tokenizer, "Why?", "Because it is so.")
    with adapters.using(model, "sft"), torch.no_grad():
        found = completion_features(model, tokenizer, [one])[0]
        states = model(torch.tensor([one.sequence]), output_hidden_states=True).hidden_states
    expected = [states[layer][0, len(one.prompt) :].mean(0) for layer in (0, 1, 2)]
    assert found[: sum(feature_groups(model)[:2])] == pytest.approx(torch.cat(expected).numpy(), abs=1e-5)


def test_what_stands_beside_a_completion_changes_nothing(tiny: Tiny) -> None:
    model, tokenizer = tiny
    texts = [written(tokenizer, "Hi", "Yes."), written(tokenizer, "Tell me more of it", "No, " * 20, ended=False)]
    with adapters.using(model, "sft"):
        together = completion_features(model, tokenizer, texts)
        alone = np.concatenate([completion_features(model, tokenizer, [text]) for text in texts])
    assert together == pytest.approx(alone, abs=1e-5)


def test_without_an_adapter_features_are_those_of_the_weights_as_they_are(tiny: Tiny) -> None:
    model, tokenizer = tiny
    text = written(tokenizer, "Hi", "Yes.")
    with adapters.using(model, "sft"):
        by_sft = completion_features(model, tokenizer, [text])
        with adapters.using(model, None):
            bare = completion_features(model, tokenizer, [text])
            with model.disable_adapter():
                expected = completion_features(model, tokenizer, [text])
        again = completion_features(model, tokenizer, [text])
    assert (bare == expected).all()
    assert (by_sft == again).all()
    assert not np.allclose(by_sft, bare)


def test_a_completion_without_tokens_has_features(tiny: Tiny) -> None:
    model, tokenizer = tiny
    found = completion_features(model, tokenizer, [Written([1, 2], [], ended=False)])[0]
    assert len(found) == sum(feature_groups(model))
    assert np.isfinite(found).all()


def test_style_tells_manners_apart() -> None:
    plain, shouted = style("It is so. We know it."), style("IT IS SO! **WE** KNOW:\n- it\n- that\nDo we?")
    assert len(plain) == len(shouted) == STYLE
    assert style("") == pytest.approx(style(""))
    assert plain[1] == pytest.approx(np.log(3))  # words a sentence
    assert plain[2] == 0 and shouted[2] == pytest.approx(np.log(3))  # two list lines
    assert shouted[5] == 1  # it asks


def test_one_pass_gives_features_and_the_log_probabilities_that_training_measures(tiny: Tiny) -> None:
    model, tokenizer = tiny
    said = [Text(one_turn("Hi"), "Yes."), Text(one_turn("Tell me more of it"), "No, no, it is not so.", ended=False)]
    rows = [written(tokenizer, one.messages[-1].content, one.completion, ended=one.ended) for one in said]
    with adapters.using(model, "sft"), torch.no_grad():
        reading = read_completions(model, tokenizer, rows, with_log_probs=True)
        expected = completion_log_probs(model, text_samples(said, tokenizer, model.device), 1.0)
        assert (reading.features == completion_features(model, tokenizer, rows)).all()
    assert reading.log_probs is not None
    for own, row, one in zip(reading.log_probs, expected, rows, strict=True):
        torch.testing.assert_close(own, row[: len(one.completion)], atol=1e-5, rtol=1e-5)
