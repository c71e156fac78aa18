"""Features of texts through the engine: those that a run computes, whatever version is served."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel

from alignment.models import adapters
from alignment.models.features import completion_features, feature_groups, written
from alignment.models.heads import new_head
from alignment.models.texts import Text
from alignment.reward.scorer import score_sequences
from alignment.serving.local import LocalEngine
from storage.messages import one_turn
from tests.serving.versions import model_sft, new_engine, row, tokens, version, version_with_sft

TEXTS = [Text(one_turn("Hi"), "Ahoy there!"), Text(one_turn("Why?"), "Because", ended=False)]
SECONDS = 60


def test_features_are_those_of_the_original_model_while_another_version_is_live(
    engine: LocalEngine, tiny: tuple[PeftModel, Any], tiny_folder: Path, tmp_path: Path
) -> None:
    model, tokenizer = tiny
    with adapters.using(model, "sft"):
        expected = completion_features(model, tokenizer, [written(tokenizer, text) for text in TEXTS])
    rows = [row(None, 1), row(model_sft(tiny_folder), 2), row(engine.live.adapter, 3)]
    before = tokens(engine, *rows)
    engine.swap(version_with_sft(tiny_folder, tmp_path, 2)).result(timeout=SECONDS)
    found = engine.features(TEXTS).result(timeout=SECONDS)
    assert found.features == pytest.approx(expected, abs=1e-4)
    assert found.groups == feature_groups(model)
    assert found.shipped is None
    assert tokens(engine, *rows) == before


def test_without_texts_the_engine_tells_the_groups(engine: LocalEngine) -> None:
    found = engine.features([]).result(timeout=SECONDS)
    assert found.features.shape == (0, sum(found.groups))


def test_texts_are_scored_by_the_reward_model_that_ships_alone(
    tiny: tuple[PeftModel, Any], tiny_folder: Path, tmp_path: Path
) -> None:
    model, tokenizer = tiny
    head = new_head(model)
    with torch.no_grad():
        head.weight[0, 3] = 1.0
    shutil.copytree(tiny_folder, tmp_path / "model")
    (tmp_path / "model" / "reward").mkdir()
    adapters.save_adapter(model, "other", tmp_path / "model" / "reward", head)
    with adapters.using(model, "other"), torch.no_grad():
        rows = [written(tokenizer, text).sequence for text in TEXTS]
        expected, _ = score_sequences(model, head, rows, tokenizer.pad_id)
    engine = new_engine(tmp_path / "model", version(tiny_folder / "sft", tmp_path, 1))
    engine.start()
    found = engine.features(TEXTS).result(timeout=SECONDS)
    engine.stop()
    assert found.shipped is not None
    assert found.shipped == pytest.approx(expected.numpy(), abs=1e-4)
