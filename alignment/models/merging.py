"""Folding an adapter into a checkpoint of its own: `python -m alignment.models.merging`, in a process of its own."""

import json
import sys
from pathlib import Path
from typing import Any

from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from alignment.errors import AlignmentError
from alignment.models.adapters import attach


def merge(model_folder: Path, tokenizer_folder: Path, adapter: Path, target: Path) -> None:
    """Write a checkpoint that answers as the model does through the adapter, up to rounding, in the model's precision.

    Raises AdapterError for an adapter that does not fit, OSError or ValueError for files that cannot be read.
    """
    here: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype="auto", **here)
    _untie(model)
    attach(model, adapter, "policy").merge_and_unload().save_pretrained(target)
    AutoTokenizer.from_pretrained(tokenizer_folder, **here).save_pretrained(target)


def _untie(model: Any) -> None:
    """Give the output layer weights of its own: an adapter on it must not change the input embeddings too."""
    inputs, outputs = model.get_input_embeddings(), model.get_output_embeddings()
    if outputs is None or outputs.weight is not inputs.weight:
        return
    outputs.weight = nn.Parameter(outputs.weight.detach().clone())
    for config in (model.config, model.config.get_text_config(decoder=True)):
        config.tie_word_embeddings = False


def main() -> None:
    """Merge what the JSON object on the command line names; say in the last line why, if it cannot be."""
    job = {name: Path(place) for name, place in json.loads(sys.argv[1]).items()}
    try:
        merge(job["model"], job["tokenizer"], job["adapter"], job["target"])
    except (AlignmentError, OSError, ValueError, RuntimeError) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
