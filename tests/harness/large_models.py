"""A folder with the shape of an 8B and its tokenizer's size; its weights are a hole in a file, which takes no room."""

import json
import struct
from math import prod
from pathlib import Path
from string import ascii_lowercase

from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

VOCABULARY, HIDDEN, INNER, KEYS, LAYERS = 128_256, 4096, 14_336, 1024, 32
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_shape_of_8b(folder: Path) -> None:
    """Write configuration, tokenizer and 16 GB of empty weights of a Llama into a new folder."""
    folder.mkdir()
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": False,
    }
    ends = {"bos_token": SPECIAL[1], "eos_token": SPECIAL[2], "pad_token": SPECIAL[2], "chat_template": TEMPLATE}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"} | ends))
    _tokenizer().save(str(folder / "tokenizer.json"))
    _write_weights(folder / "model.safetensors")


def _tokenizer() -> Tokenizer:
    """Return a tokenizer that knows bytes, then words of two letters, of three and so on until it is full."""
    vocabulary = {token: i for i, token in enumerate([*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    merges: list[tuple[str, str]] = []
    words = list(ascii_lowercase)
    while room := VOCABULARY - len(vocabulary):
        merged = [(word, letter) for word in words for letter in ascii_lowercase][:room]
        words = ["".join(pair) for pair in merged]
        vocabulary |= {word: len(vocabulary) + i for i, word in enumerate(words)}
        merges += merged
    tokenizer = Tokenizer(BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL))
    return tokenizer


def _write_weights(path: Path) -> None:
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (VOCABULARY, HIDDEN),
        "lm_head.weight": (VOCABULARY, HIDDEN),
        "model.norm.weight": (HIDDEN,),
    }
    for layer in range(LAYERS):
        of = f"model.layers.{layer}"
        shapes |= {f"{of}.self_attn.{one}_proj.weight": (HIDDEN, HIDDEN) for one in "qo"}
        shapes |= {f"{of}.self_attn.{one}_proj.weight": (KEYS, HIDDEN) for one in "kv"}
        shapes |= {f"{of}.mlp.{one}_proj.weight": (INNER, HIDDEN) for one in ("gate", "up")}
        shapes |= {f"{of}.mlp.down_proj.weight": (HIDDEN, INNER)}
        shapes |= {f"{of}.{one}_layernorm.weight": (HIDDEN,) for one in ("input", "post_attention")}
    header, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + 2 * prod(shape)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
