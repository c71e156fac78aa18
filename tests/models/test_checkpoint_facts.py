"""What is known of a checkpoint before it is loaded: context, sampling, template."""

import json
from pathlib import Path
from typing import Any

import pytest

from alignment.errors import ModelLoadError
from alignment.models.checkpoint_facts import facts_of_folder
from alignment.models.sampling import Sampling


def write(folder: Path, **files: Any) -> Path:
    for name, values in files.items():
        (folder / f"{name}.json").write_text(json.dumps(values), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("config", "context", "length"),
    [
        ({"max_position_embeddings": 131072}, 131072, 512),
        ({"n_positions": 1024}, 1024, 256),  # GPT-2
        ({"text_config": {"max_position_embeddings": 4096}, "n_ctx": 7}, 4096, 512),  # multimodal
        ({"text_config": {}}, 8192, 512),  # Gemma 3 says nothing
    ],
)
def test_the_default_length_of_an_answer_fits_the_context(
    tmp_path: Path, config: dict[str, Any], context: int, length: int
) -> None:
    facts = facts_of_folder(write(tmp_path, config=config))
    assert (facts.context_tokens, facts.sampling.max_new_tokens) == (context, length)
    assert facts.rollout_tokens == 160


def test_the_sampling_is_what_the_makers_say_or_ours_where_they_say_nothing(tmp_path: Path) -> None:
    folder = write(tmp_path, config={"max_position_embeddings": 8192}, generation_config={"eos_token_id": 2})
    assert facts_of_folder(folder).sampling == Sampling(0.7, 512, 0.95)
    write(tmp_path, generation_config={"temperature": 0.6, "top_k": 20, "top_p": 0.8, "min_p": None, "do_sample": True})
    assert facts_of_folder(folder).sampling == Sampling(0.6, 512, 0.8, 20, 0.0)
    write(tmp_path, generation_config={"top_p": 0.9, "temperature": None})
    assert facts_of_folder(folder).sampling == Sampling(1.0, 512, 0.9)


def test_a_template_is_found_in_each_of_its_places(tmp_path: Path) -> None:
    folder = write(tmp_path, config={}, tokenizer_config={"eos_token": "</s>"})
    assert not facts_of_folder(folder).own_template
    write(tmp_path, tokenizer_config={"chat_template": "{{ messages }}"})
    assert facts_of_folder(folder).own_template
    write(tmp_path, tokenizer_config={})
    (tmp_path / "chat_template.jinja").write_text("{{ messages }}")
    assert facts_of_folder(folder).own_template


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelLoadError, match=r"config\.json"):
        facts_of_folder(tmp_path)
