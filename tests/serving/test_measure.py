"""Log-probabilities of tokens through the engine: those of a plain pass through each adapter."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel

from alignment.errors import ConfigError
from alignment.models import adapters
from alignment.models.features import written
from alignment.models.texts import Text
from alignment.serving.local import LocalEngine
from storage.messages import one_turn
from tests.serving.versions import model_sft

TEXTS = [Text(one_turn("Hi"), "Ahoy there, naïve ☂ friend!"), Text(one_turn("Why?"), "Because", ended=False)]
SECONDS = 60


def plainly(model: Any, tokenizer: Any, text: Text) -> np.ndarray:
    row = written(tokenizer, text)
    with torch.no_grad():
        logits = model(torch.tensor([row.sequence])).logits[0].float().log_softmax(-1)
    first = len(row.prompt)
    return np.array([float(logits[first + i - 1, token]) for i, token in enumerate(row.completion)])


def test_each_token_is_as_probable_as_a_plain_pass_says(
    engine: LocalEngine, tiny: tuple[PeftModel, Any], tiny_folder: Path
) -> None:
    model, tokenizer = tiny
    through = [engine.live.adapter, model_sft(tiny_folder), None]
    found = engine.measure(TEXTS, through).result(timeout=SECONDS)
    assert len(found.log_probs) == 3
    for name, measured in zip(("sft", "sft", None), found.log_probs, strict=True):  # v1 is a copy of the SFT adapter
        with adapters.using(model, name):
            for text, own in zip(TEXTS, measured, strict=True):
                assert own == pytest.approx(plainly(model, tokenizer, text), abs=1e-3)
    assert found.log_probs[0][0] == pytest.approx(found.log_probs[1][0])
    assert found.log_probs[0][0] != pytest.approx(found.log_probs[2][0], abs=1e-3)


def test_its_tokens_joined_are_the_text_and_the_end_is_one_of_them(engine: LocalEngine) -> None:
    found = engine.measure(TEXTS, [None]).result(timeout=SECONDS)
    assert ["".join(tokens) for tokens in found.tokens] == [text.completion for text in TEXTS]
    assert found.tokens[0][-1] == ""
    assert found.tokens[1][-1] != ""
    assert [len(tokens) for tokens in found.tokens] == [len(own) for own in found.log_probs[0]]


def test_what_the_model_cannot_read_whole_is_refused(engine: LocalEngine) -> None:
    long = Text(one_turn("Hi"), "word " * 400)
    with pytest.raises(ConfigError, match="measure a shorter one"):
        engine.measure([long], [None]).result(timeout=SECONDS)
