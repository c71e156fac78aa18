"""Messages to token ids and back. Nothing else in the project tokenizes a prompt or a completion. Needs no torch."""

import json
import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any

from jinja2 import TemplateError
from tokenizers import Tokenizer

from alignment.errors import ConfigError
from alignment.models.raw_text import SEPARATORS
from alignment.models.turns import BETWEEN, alternating, with_system_in_first_question
from storage.messages import Message, Messages, messages_to_json, one_turn

# For checkpoints that ship none. Its turns are plain words: such a tokenizer has no tokens of their own for them.
PLAIN_TEMPLATE = (
    "{% if bos_token %}{{ bos_token }}{% endif %}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ message['content'] }}\n\n{% endif %}"
    "{% if message['role'] == 'user' %}User: {{ message['content'] }}\n\n{% endif %}"
    "{% if message['role'] == 'assistant' %}Assistant: {{ message['content'] }}{{ eos_token }}\n\n{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
PIECES_TOGETHER = 16  # tokens that are decoded with the one whose text is looked for, at most


class ChatTokenizer:
    """A checkpoint's tokenizer and chat template. All methods may be called from any thread.

    `ends` are the ids that end a turn by the checkpoint's generation settings, and `arguments` are passed to its
    template. `pretrained` says whether the weights are those of a pretrained checkpoint, which continues raw text as it
    was trained to. Others were tuned to chat: while they continue raw text, the tokens of chat are barred.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        ends: Collection[int] = (),
        arguments: Mapping[str, Any] | None = None,
        pretrained: bool = False,
    ) -> None:
        self.own_template = bool(tokenizer.chat_template)  # False: the model ships none, and a plain one stands in
        self._tokenizer = tokenizer
        self._template = tokenizer.chat_template or PLAIN_TEMPLATE
        self._arguments = dict(arguments or {})
        self._pretrained = pretrained
        self.added: dict[str, int] = tokenizer.get_added_vocab()  # ids of tokens with a meaning of their own, by text
        self._special = set(tokenizer.all_special_tokens) | {
            token.content for token in tokenizer.added_tokens_decoder.values() if token.special
        }
        if getattr(tokenizer, "backend_tokenizer", None) is None:
            raise ConfigError(
                "this model has no tokenizer.json, nor files that one can be made from; it cannot be read"
            )
        # Some markers take the blanks beside them away when text is encoded.
        self._swallows_blanks = any(one.lstrip or one.rstrip for one in tokenizer.added_tokens_decoder.values())
        self.end_id = self._turn_end()
        self.end_ids = frozenset({self.end_id, tokenizer.eos_token_id, *ends} - {None})
        self.pad_id: int = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else self.end_id

    # ---- prompts

    def prompt_ids(self, messages: Sequence[Message], *, templated: bool = True) -> list[int]:
        """Return the ids of a conversation up to where the assistant begins; without the template, as bare text.

        What was typed stays as it was, but it opens and closes no turn: it is read without the tokens that do.

        Raises ConfigError for a conversation that the template refuses.
        """
        if not templated:
            return self._raw_ids(messages)
        fitting = self._fitting(messages)
        text = self._rendered(fitting, add_generation_prompt=True)
        if all(self._is_rendered_whole(message, text) for message in fitting):
            return self._encoded(text)
        return self._encoded_apart(fitting)

    def completion_ids(self, completion: str, *, ended: bool = True) -> list[int]:
        """Return the ids of a completion; if it `ended` by itself, with the token that a rollout would end on."""
        ids = self._literal_ids(completion)
        return [*ids, self.end_id] if ended else ids

    def tokens(self, messages: Sequence[Message], *, templated: bool = True) -> int:
        """Return how many tokens a conversation takes.

        One that ends with the assistant's message is a demonstration: that message counts as the completion that a
        model learns, with its end token. Any other is a prompt, up to where the assistant begins.
        """
        if messages[-1].role != "assistant":
            return len(self.prompt_ids(messages, templated=templated))
        prompt = self.prompt_ids(messages[:-1], templated=templated)
        return len(prompt) + len(self.completion_ids(messages[-1].content))

    @cached_property
    def template_tokens(self) -> int:
        """How many tokens the template adds to a question by itself, a default system message among them."""
        return len(self.prompt_ids(one_turn("x"))) - len(self._literal_ids("x"))

    # ---- completions

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of completion ids without the tokens of turns; a character cut in two is left out."""
        written = [token for token in ids if token not in self._marker_ids]
        text: str = self._tokenizer.decode(written, clean_up_tokenization_spaces=False)
        kept = text.rstrip("\ufffd")
        return text if kept == text or self._literal_ids(text) == written else kept  # it may have been written so

    def token_text(self, token: int) -> str:
        """Return a token by itself in words, those of turns by their names."""
        return str(self._tokenizer.decode([token], clean_up_tokenization_spaces=False))

    def ending(self, ids: list[int], *, templated: bool = True) -> list[int]:
        """Return the ids of a completion that has ended with the end token that training gives the same text."""
        return [*ids[:-1], self.end_id] if templated and ids and ids[-1] in self.end_ids else ids

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Return the text that each of some ids adds; joined they are what `decode` returns.

        One that opens a character of several tokens adds nothing, the one that completes it adds it whole.
        """
        found: list[str] = []
        start, known = 0, ""  # what is decoded together, as some tokenizers drop the blank before the first one
        for place in range(len(ids)):
            text = self.decode(ids[start : place + 1])
            found.append(text.removeprefix(known))
            known = text
            if found[-1] and place - start >= PIECES_TOGETHER:
                start, known = place, self.decode(ids[place : place + 1])
        return found

    # ---- raw text

    @cached_property
    def separator_id(self) -> int | None:
        """The token that begins a document: bos, unless that is a token of chat; None where there is none."""
        bos = self._tokenizer.bos_token_id
        if bos is not None and bos not in self._chat_ids:
            return int(bos)
        known = [self.added[name] for name in SEPARATORS if name in self.added]
        eos = self._tokenizer.eos_token_id
        candidates = [token for token in [eos, *known] if token is not None and token not in self._chat_ids]
        return candidates[0] if candidates else None

    @cached_property
    def raw_end_ids(self) -> frozenset[int]:
        """The ids that end a raw continuation."""
        separators = {self.added[name] for name in SEPARATORS if name in self.added}
        separators |= set() if self.separator_id is None else {self.separator_id}
        if self._pretrained:
            return self.end_ids | separators
        ends = separators - self._chat_ids
        if not ends - {self._tokenizer.bos_token_id}:  # none writes bos: its eos ends turns and documents alike
            return frozenset(ends | self.end_ids)
        return frozenset(ends)

    @cached_property
    def barred_ids(self) -> tuple[int, ...]:
        """The ids that a raw continuation never holds: the tokens of chat, unless the weights are pretrained ones."""
        if self._pretrained:
            return ()
        named = {token for text, token in self.added.items() if text in self._template and text.strip()}
        return tuple(sorted((self._special_ids | named | self._chat_ids) - self.raw_end_ids))

    def _raw_ids(self, messages: Sequence[Message]) -> list[int]:
        ids = self._literal_ids(BETWEEN.join(message.content for message in messages))
        return ids if self.separator_id is None else [self.separator_id, *ids]

    # ---- the template

    def _fitting(self, messages: Sequence[Message]) -> Messages:
        """Return the messages as the template takes them: some have no system role, or want roles in turn."""
        given = tuple(messages)
        for form in (given, alternating(given), alternating(with_system_in_first_question(given))):
            try:
                text = self._rendered(form, add_generation_prompt=True)
            except (TemplateError, ValueError, TypeError, KeyError) as error:
                refused = error
                continue
            if all(message.content.strip() in text for message in form if message.role == "system"):
                return form
            refused = ValueError("it leaves the system message out")
        raise ConfigError(
            f"this model's chat template refuses the conversation ({refused}); begin with a question, and let question "
            "and answer take turns"
        ) from refused

    def _rendered(self, messages: Sequence[Message], *, add_generation_prompt: bool) -> str:
        rendered: str = self._tokenizer.apply_chat_template(
            messages_to_json(messages),
            chat_template=self._template,
            add_generation_prompt=add_generation_prompt,
            tokenize=False,
            **self._arguments,
        )
        return rendered

    def _is_rendered_whole(self, message: Message, text: str) -> bool:
        """Return whether a message stands in the rendered text as it was written and holds no marker of a turn.

        Templates drop what a model has thought from its answers, as it was trained; that is left to them.
        """
        if any(marker in message.content for marker in self._markers):
            return False
        if self._swallows_blanks and message.content != message.content.strip():
            return False
        return message.content in text or (message.role == "assistant" and "</think>" in message.content)

    def _encoded_apart(self, messages: Messages) -> list[int]:
        """Return the ids of a conversation whose contents are read apart from the template around them."""
        stand_ins = [f"X{secrets.token_hex(8)}X" for _ in messages]
        contents = {name: message.content for name, message in zip(stand_ins, messages, strict=True)}
        replaced = [Message(message.role, name) for name, message in zip(stand_ins, messages, strict=True)]
        text = self._rendered(replaced, add_generation_prompt=True)
        ids: list[int] = []
        for part in re.split("(" + "|".join(stand_ins) + ")", text):
            if part:
                ids += self._literal_ids(contents[part]) if part in contents else self._encoded(part)
        return ids

    def _turn_end(self) -> int:
        """Return the id that the template ends an assistant's turn with; the tokenizer's eos if it shows none."""
        name = f"X{secrets.token_hex(8)}X"
        try:
            text = self._rendered([*one_turn("x"), Message("assistant", name)], add_generation_prompt=False)
        except (TemplateError, ValueError, TypeError, KeyError):
            text = name
        after = self._encoded(text.rpartition(name)[2])
        added = set(self.added.values())
        ends = [token for token in after if token in added]
        eos = self._tokenizer.eos_token_id
        if not ends and eos is None:
            raise ConfigError("this model's tokenizer has no token that ends a turn (eos_token); it cannot chat")
        return ends[0] if ends else int(eos)

    # ---- token ids of text

    def _encoded(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _literal_ids(self, text: str) -> list[int]:
        """Return the ids of text in which nothing is a marker of a turn, whatever it looks like."""
        return list(self._literal.encode(text, add_special_tokens=False).ids)

    @cached_property
    def _literal(self) -> Tokenizer:
        """The tokenizer without the tokens that open or close turns: what looks like one is read as the text it is."""
        description = json.loads(self._tokenizer.backend_tokenizer.to_str())
        vocabulary, kept = description["model"]["vocab"], []
        if isinstance(vocabulary, list):  # of pieces with their scores
            vocabulary = {piece for piece, _ in vocabulary}
        for token in description["added_tokens"]:
            if token["content"] in self._markers:
                if token["content"] in vocabulary:
                    continue
                token["content"] = secrets.token_hex(16)  # taken out, it would leave the ids after it one lower
            kept.append(token)
        description["added_tokens"] = kept
        description["truncation"] = description["padding"] = None
        return Tokenizer.from_str(json.dumps(description))

    @cached_property
    def _markers(self) -> frozenset[str]:
        """The texts that would be read as special tokens, or as the marks around a turn, if a user typed them."""
        turns = [Message("user", "x"), Message("assistant", "x"), Message("user", "x")]
        try:
            skeleton = self._rendered(turns, add_generation_prompt=False)
        except (TemplateError, ValueError, TypeError, KeyError):  # it takes one question alone
            skeleton = self._rendered(turns[:1], add_generation_prompt=True)
        return frozenset(self._special | {text for text in self.added if text.strip() and text in skeleton} - {"x"})

    @cached_property
    def _marker_ids(self) -> frozenset[int]:
        return frozenset(self.added[text] for text in self._markers if text in self.added)

    @cached_property
    def _special_ids(self) -> frozenset[int]:
        return frozenset(self.added[text] for text in self._special if text in self.added)

    @cached_property
    def _chat_ids(self) -> frozenset[int]:
        """The tokens with which a template that the model ships marks its turns, those that occur at each turn."""
        if not self.own_template:
            return frozenset()
        counts = []
        for turns in (1, 2):
            messages = [*one_turn("x"), Message("assistant", "x")] * turns
            try:
                ids = self._encoded(self._rendered(messages, add_generation_prompt=False))
            except (TemplateError, ValueError, TypeError, KeyError):
                return frozenset()
            counts.append({token: ids.count(token) for token in set(ids) & set(self.added.values())})
        once, twice = counts
        return frozenset(token for token, count in twice.items() if count > once.get(token, 0))
