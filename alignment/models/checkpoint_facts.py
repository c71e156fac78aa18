"""What a checkpoint's own files say of it: context, recommended sampling, chat template. Needs no torch."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alignment.errors import ModelLoadError
from alignment.models import gguf_file
from alignment.models.sampling import Sampling

# Where configurations keep how many tokens a model reads; those of multimodal checkpoints do in their text part.
CONTEXT_FIELDS = ("max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len", "seq_length", "n_ctx")
UNSAID_CONTEXT = 8192  # tokens; checkpoints that do not say it are recent ones, which read more
UNSAID = Sampling(temperature=0.7, top_p=0.95)  # for checkpoints whose makers recommend nothing
MAX_TEMPERATURE = 2.0
LEAST_TOP_P = 0.05
LONGEST_DEFAULT = 512  # tokens of an answer, unless somebody asks for more
LONGEST_ROLLOUT = 160
THINKING = "enable_thinking"  # what templates ask whether the model is to think before it answers
TEMPLATE_FILES = ("chat_template.jinja", "chat_template.json")


@dataclass(frozen=True)
class CheckpointFacts:
    """What is known of a checkpoint before it is loaded."""

    context_tokens: int  # that it reads: prompt and completion together
    sampling: Sampling  # as its makers recommend, and the default length of an answer
    own_template: bool  # whether it ships a chat template
    switches_thinking: bool  # whether that template can have it think, or answer at once

    @property
    def rollout_tokens(self) -> int:
        """How long the answers of a training run get by default."""
        return min(LONGEST_ROLLOUT, self.sampling.max_new_tokens)


def facts_of_folder(folder: Path) -> CheckpointFacts:
    """Return the facts of a checkpoint in a folder; raise ModelLoadError for a file of it that is broken."""
    config = json_object(folder / "config.json")
    text = config.get("text_config")
    places = [text, config] if isinstance(text, dict) else [config]
    found = [place[field] for place in places for field in CONTEXT_FIELDS if isinstance(place.get(field), int)]
    context = found[0] if found else UNSAID_CONTEXT
    return CheckpointFacts(
        context, _recommended(folder, context), has_template(folder), THINKING in template_of(folder)
    )


def facts_of_gguf(file: Path) -> CheckpointFacts:
    """Return the facts of a GGUF file by its header; raise ModelLoadError for one that cannot be read."""
    header = gguf_file.header(file)
    context = gguf_file.context_length(header) or UNSAID_CONTEXT
    template = header.get("tokenizer.chat_template")
    return CheckpointFacts(
        context, _with_length(UNSAID, context), template is not None, THINKING in str(template or "")
    )


def has_template(folder: Path) -> bool:
    """Return whether the tokenizer in a folder ships a chat template."""
    return any((folder / name).is_file() for name in TEMPLATE_FILES) or bool(template_of(folder))


def template_of(folder: Path) -> str:
    """Return the chat template that the tokenizer in a folder ships, as it is written; "" for none."""
    if (folder / TEMPLATE_FILES[0]).is_file():
        return (folder / TEMPLATE_FILES[0]).read_text(encoding="utf-8")
    named = [folder / name for name in (TEMPLATE_FILES[1], "tokenizer_config.json")]
    found = [json_object(path).get("chat_template") for path in named if path.is_file()]
    return str(next((template for template in found if template), ""))


def json_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; raise ModelLoadError if it holds none."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelLoadError(f"{path} cannot be read as JSON ({error}); copy the file anew") from error
    if not isinstance(values, dict):
        raise ModelLoadError(f"{path} must hold a JSON object, got {type(values).__name__}")
    return values


def _recommended(folder: Path, context: int) -> Sampling:
    """Return the sampling in `generation_config.json`, brought into bounds; what it leaves out is off."""
    path = folder / "generation_config.json"
    said = json_object(path) if path.is_file() else {}
    numbers = {
        name: said[name]
        for name in ("temperature", "top_p", "top_k", "min_p")
        if isinstance(said.get(name), int | float) and not isinstance(said[name], bool)
    }
    if not numbers:
        return _with_length(UNSAID, context)
    recommended = Sampling(
        temperature=min(max(0.0, numbers.get("temperature", 1.0)), MAX_TEMPERATURE),
        top_p=min(max(LEAST_TOP_P, numbers.get("top_p", 1.0)), 1.0),
        top_k=max(0, int(numbers.get("top_k", 0))),
        min_p=min(max(0.0, numbers.get("min_p", 0.0)), 1.0),
    )
    return _with_length(recommended, context)


def _with_length(sampling: Sampling, context: int) -> Sampling:
    length = max(1, min(LONGEST_DEFAULT, context // 4))
    return Sampling(sampling.temperature, length, sampling.top_p, sampling.top_k, sampling.min_p)
