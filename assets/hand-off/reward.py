"""What Triptych's votes taught, as a reward model that needs torch, transformers and peft alone.

Scores are those of the run that the folder was made from: a linear model on frozen features of the reference, or LoRA
adapters with heads, or the sum of both. Features and formulas are those of Triptych's `alignment/`; a test of Triptych
holds this file to them.
"""

import json
import math
import re
from pathlib import Path

import numpy as np
import torch
from peft import PeftModel
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

HERE = Path(__file__).parent
SETTINGS = json.loads((HERE / "settings.json").read_text(encoding="utf-8"))
OWN, SHIPPED = HERE / "reward" / "own", HERE / "reward" / "shipped"
SENTENCE_END = re.compile(r"[.!?]+(?:\s|$)")
LIST_LINE = re.compile(r"^[ \t]*(?:[-*•]|\d+[.)])[ \t]", re.MULTILINE)
COUNTED = ("\n", "**", "?", "!", ",")


def tokenizer_of():
    """Return the model's tokenizer, with the template that the votes were cast under."""
    folder = HERE / "tokenizer"
    tokenizer = AutoTokenizer.from_pretrained(folder if folder.is_dir() else SETTINGS["model"])
    tokenizer.chat_template = tokenizer.chat_template or SETTINGS["plain_template"]
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def weights_of():
    """Return the checkpoint that the adapters lie on, in bf16 on a GPU and in fp32 elsewhere."""
    on_gpu = torch.cuda.is_available()
    dtype = torch.bfloat16 if on_gpu else torch.float32
    model = AutoModelForCausalLM.from_pretrained(SETTINGS["model"], dtype=dtype, trust_remote_code=False)
    return model.to("cuda") if on_gpu else model


def merged_reference():
    """Return the instruction-tuned model as plain weights: the checkpoint, or the checkpoint with its adapter added."""
    model, adapter = weights_of(), HERE / "sft"
    if not adapter.is_dir():
        return model
    if model.config.tie_word_embeddings:  # else what the adapter adds to the output layer changes the embeddings too
        model.config.tie_word_embeddings = False
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    return PeftModel.from_pretrained(model, adapter).merge_and_unload()


def style(text):
    """Return how a text is written, as twelve numbers."""
    words = max(1, len(text.split()))
    return [
        math.log(max(1, sum(character.isalpha() for character in text)) / words),
        math.log(words / max(1, len(SENTENCE_END.findall(text)))),
        math.log1p(len(LIST_LINE.findall(text))),
        math.log1p(sum(character.isdigit() for character in text)),
        sum(character.isupper() for character in text) / max(1, len(text)),
        float(text.rstrip().endswith("?")),
        float(not text.isascii()),
        *(math.log1p(text.count(mark)) for mark in COUNTED),
    ]


class RewardModel:
    """Scores completions; holds one copy of the checkpoint, however many adapters it reads through."""

    def __init__(self):
        if not OWN.is_dir() and not SHIPPED.is_dir():
            raise SystemExit("this folder has no reward model: no run has fitted one yet. Train one, or use the pairs")
        self.tokenizer = tokenizer_of()
        self.linear = load_file(OWN / "linear.safetensors") if (OWN / "linear.safetensors").is_file() else None
        self.model, self.heads = weights_of(), {}
        for name, folder in (("sft", HERE / "sft"), ("own", OWN), ("shipped", SHIPPED)):
            if (folder / "adapter_config.json").is_file():
                if isinstance(self.model, PeftModel):
                    self.model.load_adapter(folder, name)
                else:
                    self.model = PeftModel.from_pretrained(self.model, folder, name)
            if (folder / "head.safetensors").is_file():
                self.heads[name] = load_file(folder / "head.safetensors")
        self.model.requires_grad_(False).eval()

    def scores_of_chat(self, prompts, completions, ended):
        """Return scores of texts that answer message lists; `ended` says which of them ended by themselves."""
        arguments = SETTINGS["template_arguments"]
        rows = []
        for messages, text, whole in zip(prompts, completions, ended, strict=True):
            prompt = self.tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, tokenize=False, **arguments
            )
            rows.append(self._row(prompt, text, whole))
        return [self.score(*row) for row in rows]

    def score_of_text(self, prompt, completion, ended):
        """Return the score of a completion of a prompt that the template has been applied to."""
        return self.score(*self._row(prompt, completion, ended))

    def _row(self, prompt, text, ended):
        ids = self.tokenizer(prompt, add_special_tokens=False)["input_ids"]
        own = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids, own + [SETTINGS["end_id"]] * bool(ended), text, bool(ended)

    @torch.no_grad()
    def score(self, prompt_ids, completion_ids, text, ended):
        """Return the score of one completion, given as token ids and as text."""
        how, total = SETTINGS["scored_by"], 0.0
        bound = how["bound"] if "shipped" in self.heads else math.inf
        if self.linear is not None:
            mean, deviation = self._linear(self._features(prompt_ids, completion_ids, text, ended))
            total += _bounded(mean, bound) - how["uncertainty_penalty"] * deviation
        if "own" in self.heads:
            each = _bounded(self._heads("own", prompt_ids, completion_ids), bound)
            total += each.mean() - how["uncertainty_penalty"] * each.std()
        if "shipped" in self.heads:
            total += how["shipped_weight"] * self._heads("shipped", prompt_ids, completion_ids).mean()
        return float(total)

    def _states(self, ids, adapter):
        """Return the hidden states (layers + 1, T, H) of a row through an adapter, or through none."""
        ids = torch.tensor([ids], device=self.model.device)
        trunk = (self.model.get_base_model() if isinstance(self.model, PeftModel) else self.model).base_model
        if not isinstance(self.model, PeftModel):
            return trunk(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states
        if adapter is None:
            with self.model.disable_adapter():
                return trunk(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states
        self.model.set_adapter(adapter)
        return trunk(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states

    def _features(self, prompt_ids, completion_ids, text, ended):
        states = self._states([*prompt_ids, *completion_ids], "sft" if (HERE / "sft").is_dir() else None)
        layers = len(states) - 1
        read = [states[layer][0, len(prompt_ids) :].float() for layer in (0, layers // 2, layers)]
        means = [part.mean(0) if len(part) else part.new_zeros(part.shape[1]) for part in read]
        lengths = [math.log(max(1, len(completion_ids))), math.log(max(1, len(text.split()))), float(ended)]
        return np.concatenate([torch.cat(means).cpu().numpy(), lengths, style(text)]).astype(np.float32)

    def _linear(self, features):
        """Return mean and standard deviation of the score by the posterior of the linear model."""
        one = (features.astype(np.float64) - self.linear["centre"]) / self.linear["scale"]
        spread = one * self.linear["variances"]
        explained = np.linalg.solve(self.linear["root"], self.linear["curvature"] * (self.linear["rows"] @ spread))
        return one @ self.linear["mean"], math.sqrt(max(0.0, float(spread @ one - explained @ explained)))

    def _heads(self, name, prompt_ids, completion_ids):
        last = self._states([*prompt_ids, *completion_ids], name)[-1][0, -1].float().cpu().numpy()
        return self.heads[name]["weight"].astype(np.float32) @ last + self.heads[name]["bias"].astype(np.float32)


def _bounded(scores, bound):
    return scores if bound == math.inf else bound * np.tanh(scores / bound)


if __name__ == "__main__":  # writes the reference as a checkpoint of its own, for programs that take no adapter
    target = HERE / "reference"
    merged_reference().save_pretrained(target)
    tokenizer_of().save_pretrained(target)
    print(f"{target} holds the instruction-tuned model as plain weights")
