"""Tokenizer and pretraining of the pocket base model."""

import logging
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.utils.data import DataLoader, IterableDataset, get_worker_info
from tqdm import tqdm
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from alignment.models.loading import best_device, computes_bf16
from recipes.pocket.corpus import documents
from recipes.pocket.tokens import ASSISTANT, BOS, CHAT_TEMPLATE, END, PAD, USER

log = logging.getLogger(__name__)
WRITERS = 2  # processes that write the text: one alone is slower than a GPU reads


@dataclass(frozen=True)
class PretrainConfig:
    """Size and schedule of the base model."""

    vocabulary: int = 2048  # byte-level BPE entries, turn markers included
    hidden_size: int = 192
    layers: int = 6
    heads: int = 4
    intermediate_size: int = 512
    steps: int = 9000  # optimizer steps
    batch_size: int = 32  # rows
    length: int = 256  # tokens a row: more than the longest prompt with its completion
    learning_rate: float = 2.5e-3  # peak, AdamW
    warmup_steps: int = 100
    checkpoint_steps: int = 250
    seed: int = 0


def train_tokenizer(config: PretrainConfig, folder: Path) -> PreTrainedTokenizerFast:
    """Train the byte-level BPE on the corpus, save it with its chat template, and return it."""
    bpe = Tokenizer(models.BPE())
    # Digits one by one: numbers are then read and added as on paper, whatever numbers the corpus happens to hold.
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    markers = [PAD, BOS, END, USER, ASSISTANT]
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocabulary,
        special_tokens=markers,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(islice(documents(config.seed), 20_000), trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=BOS,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[USER, ASSISTANT],
        clean_up_tokenization_spaces=False,
        model_max_length=1024,
        padding_side="left",
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)
    return tokenizer


class PackedRows(IterableDataset[torch.Tensor]):
    """Endless batches of packed documents, each opened by the begin token, (batch_size, length).

    Every worker of a DataLoader writes documents of its own, and their batches alternate.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, config: PretrainConfig) -> None:
        self.tokenizer, self.config = tokenizer, config

    def __iter__(self) -> Iterator[torch.Tensor]:
        """Yield the batches of this worker."""
        worker = get_worker_info()
        stream = documents(self.config.seed + 1 + (worker.id if worker else 0))
        rows, length = self.config.batch_size, self.config.length
        ids: list[int] = []
        while True:
            while len(ids) < rows * length:
                texts = [f"{BOS}{text}{END}" for text in islice(stream, 256)]
                for row in self.tokenizer(texts, add_special_tokens=False)["input_ids"]:
                    ids.extend(row)
            yield torch.tensor(ids[: rows * length]).view(rows, length)
            ids = ids[rows * length :]


def new_model(config: PretrainConfig, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Return a randomly initialised Llama; embeddings stay untied, so that a LoRA on `lm_head` leaves inputs alone."""
    torch.manual_seed(config.seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=config.vocabulary,
            hidden_size=config.hidden_size,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.heads,
            intermediate_size=config.intermediate_size,
            max_position_embeddings=1024,
            tie_word_embeddings=False,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def learning_rate(config: PretrainConfig, step: int) -> float:
    """Return the rate at a step: linear warm-up, then a cosine to a twentieth of the peak."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return config.learning_rate * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done)))


def pretrain(config: PretrainConfig, folder: Path) -> None:
    """Train the base model on the recipe's text and save model and tokenizer to `folder` in bf16.

    A checkpoint beside the folder is written every `checkpoint_steps` and picked up when the command is run again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(config, folder)
    device = best_device()
    model = new_model(config, tokenizer).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    checkpoint, start = folder / "checkpoint.pt", 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True, map_location=device)
        if saved["config"] == asdict(config):
            model.load_state_dict(saved["model"])
            optimizer.load_state_dict(saved["optimizer"])
            start = saved["step"]
    bar = tqdm(range(config.steps), desc="pretraining", mininterval=10)
    batches = DataLoader(PackedRows(tokenizer, config), batch_size=None, num_workers=WRITERS)
    for step, batch in zip(bar, batches, strict=False):
        if step < start:
            continue
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, step)
        ids = batch.to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=computes_bf16(device)):
            loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if (step + 1) % 20 == 0:
            bar.set_postfix(loss=f"{loss.item():.3f}")
        if (step + 1) % config.checkpoint_steps == 0:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}
            torch.save({**state, "config": asdict(config)}, checkpoint.with_suffix(".tmp"))
            checkpoint.with_suffix(".tmp").replace(checkpoint)
    model.to(torch.bfloat16).save_pretrained(folder)
    checkpoint.unlink(missing_ok=True)
