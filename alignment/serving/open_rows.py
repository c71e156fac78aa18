"""All rows that are being written, those of every call in one batch: calls join and leave between steps."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from alignment.errors import ConfigError
from alignment.models.chat_tokenizer import ChatTokenizer
from alignment.models.decoding import DecodingBatch, Reading
from alignment.models.sampling import FinishReason, finish_reason
from alignment.serving.engine import Adapter, Row, RowState, TokenLogProb
from alignment.serving.loaded import LoadedModel

Likeliest = tuple[float, list[tuple[int, float]]]  # log-probability of the token drawn; of the likeliest ones


@dataclass
class _Completion:
    row: Row
    tokenizer: ChatTokenizer
    width: int  # most tokens that are held of it
    token_ids: list[int] = field(default_factory=list)
    log_probs: list[TokenLogProb] = field(default_factory=list)
    finish_reason: FinishReason | None = None
    first_token_seconds: float = 0.0
    seconds: float = 0.0

    def grow(self, token: int, elapsed: float, said: Likeliest | None) -> None:
        ends = self.tokenizer.end_ids if self.row.templated else self.tokenizer.raw_end_ids
        self.token_ids.append(token)
        if said is not None and token not in ends:
            self._tell(said)
        self.finish_reason = finish_reason(self.token_ids, self.row.sampling, ends)
        self.first_token_seconds = self.first_token_seconds or elapsed
        self.seconds = elapsed

    def _tell(self, said: Likeliest) -> None:
        before = self.log_probs[-1].offset + len(self.log_probs[-1].text) if self.log_probs else 0
        text = self.tokenizer.decode(self.token_ids)[before:]
        likeliest = tuple((self.tokenizer.token_text(token), log_prob) for token, log_prob in said[1])
        self.log_probs.append(TokenLogProb(text, said[0], likeliest, before))

    def state(self, cancelled: bool) -> RowState:
        ids = self.tokenizer.ending(self.token_ids, templated=self.row.templated)
        return RowState(
            self.tokenizer.decode(ids),
            tuple(ids),
            self.finish_reason or ("cancelled" if cancelled else None),
            self.first_token_seconds,
            self.seconds,
            tuple(self.log_probs),
        )


@dataclass(eq=False)
class Answer:
    """The completions of one call while they are written."""

    completions: dict[int, _Completion]  # by the number of the row
    began: float
    reading: list[tuple[DecodingBatch, Reading]]  # their prompts, until they join

    @property
    def read(self) -> bool:
        """Whether all prompts are read."""
        return all(reading.done for _, reading in self.reading)

    @property
    def begun(self) -> bool:
        """Whether a part of a prompt is read."""
        return any(reading.columns for _, reading in self.reading)

    @property
    def shape(self) -> tuple[int, int]:
        """How many different prompts it has, and the tokens of the longest."""
        shapes = [reading.ids.shape for _, reading in self.reading]
        return sum(shape[0] for shape in shapes), max((shape[1] for shape in shapes), default=0)

    @property
    def finished(self) -> bool:
        """Whether all completions have ended."""
        return all(one.finish_reason for one in self.completions.values())

    def rows(self, cancelled: bool = False) -> tuple[RowState, ...]:
        """Return how far the completions have come; with `cancelled`, those that have not ended end so."""
        return tuple(one.state(cancelled) for one in self.completions.values())


def padded(answers: Sequence[Answer]) -> int:
    """Return how many tokens one pass over the prompts of some answers takes, padding included."""
    shapes = [answer.shape for answer in answers]
    return sum(prompts for prompts, _ in shapes) * max(longest for _, longest in shapes)


class OpenRows:
    """The one decode loop's rows: each step writes a token of every one of them.

    Rows of any adapter share a batch. New ones `begin`, are `read_on`, then `join`. A call whose prompts cannot be read
    leaves the others as they are; after an error in `join` or `step` all of them are lost, and this is to be thrown
    away with `close`.
    """

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        self._own, self._others = model.batches()
        self._numbers = count()
        self._answers: list[Answer] = []

    def __bool__(self) -> bool:
        """Return whether anything is being written."""
        return bool(self._answers)

    def width(self, rows: Sequence[Row]) -> int:
        """Return the most tokens that are held of the widest of some rows, prompt and completion together."""
        return max(map(self._width, rows))

    def has_room(self, rows: int, width: int) -> bool:
        """Return whether so many rows of a width may join those that are open; into an empty loop they always may."""
        written = [one for answer in self._answers for one in answer.completions.values()]
        open_rows = [one for one in written if one.finish_reason is None]
        if not open_rows:
            return True
        together = len(open_rows) + rows
        widest = max(width, *(one.width for one in open_rows))
        return together <= self._model.serving.rows and together * widest <= self._model.tokens_held()

    def begin(self, rows: Sequence[Row]) -> Answer:
        """Take new rows in and return their completions, which grow once their prompts are read and they have joined.

        Raises ConfigError for rows that take more memory than there is for all, AdapterError for an adapter that cannot
        be attached.
        """
        began = time.monotonic()
        self._require_room(rows)
        attached, adapters = self._model.attached, [row.adapter for row in rows if row.adapter is not None]
        attached.ensure_attached(adapters)
        self._follow_model()
        numbers = [next(self._numbers) for _ in rows]
        own, others = self._model.decoding_rows(rows, numbers)
        reading = [
            (batch, batch.begin(some))
            for batch, some in ((self._own, own), (self._others, others))
            if batch is not None and some
        ]
        completions = {
            number: _Completion(row, self._model.tokenizer_of(row), self._width(row))
            for number, row in zip(numbers, rows, strict=True)
        }
        answer = Answer(completions, began, reading)
        attached.hold(self._adapters(answer))
        self._answers.append(answer)
        return answer

    def read_on(self, answer: Answer, tokens: int) -> int:
        """Read about so many tokens more of an answer's prompts and return how many that were."""
        self._follow_model()
        read = 0
        for batch, reading in answer.reading:
            if not reading.done and read < tokens:
                read += batch.read_on(reading, tokens - read)
        return read

    def read_together(self, answers: Sequence[Answer]) -> int:
        """Read the whole prompts of several answers in one pass, let their rows join, and return how many tokens."""
        self._follow_model()
        for batch in (self._own, self._others):
            of_batch = [reading for answer in answers for one, reading in answer.reading if one is batch]
            if batch is not None and of_batch:
                batch.add([row for reading in of_batch for row in reading.rows])
        read = padded(answers)
        for answer in answers:
            answer.reading.clear()
        return read

    def join(self, answer: Answer) -> None:
        """Let rows whose prompts are read grow with each step from now on."""
        for batch, reading in answer.reading:
            batch.join(reading.held())
        answer.reading.clear()

    def step(self) -> None:
        """Write one more token of each completion that has not ended."""
        self._follow_model()
        of_number = {number: answer for answer in self._answers for number in answer.completions}
        for batch in (self._own, self._others):
            if not batch:
                continue
            tokens, now = batch.step(), time.monotonic()
            rows = {number: of_number[number].completions[number].row for number in tokens}
            asked = {number: row.top_log_probs for number, row in rows.items() if row.top_log_probs is not None}
            said = batch.likeliest(asked) if asked else {}
            for number, token in tokens.items():
                answer = of_number[number]
                answer.completions[number].grow(token, now - answer.began, said.get(number))
            batch.drop([number for number in tokens if of_number[number].completions[number].finish_reason])

    def leave(self, answer: Answer) -> None:
        """Let a call's rows go, whether they have ended or not."""
        self._answers.remove(answer)
        for batch in (self._own, self._others):
            if batch:
                batch.drop(answer.completions.keys())
        self._model.attached.release(self._adapters(answer))

    def close(self) -> None:
        """Let go of all adapters; for what is thrown away after an error."""
        for answer in self._answers:
            self._model.attached.release(self._adapters(answer))
        self._answers.clear()

    def _follow_model(self) -> None:
        """Go through the model as it is now: the first adapter that is attached wraps it."""
        self._own.go_through(self._model.attached.model, self._model.stacked_adapters())

    def _adapters(self, answer: Answer) -> list[Adapter]:
        return [one.row.adapter for one in answer.completions.values() if one.row.adapter is not None]

    def _width(self, row: Row) -> int:
        return self._model.limits(row).prompt_tokens + row.sampling.max_new_tokens

    def _require_room(self, rows: Sequence[Row]) -> None:
        """Raise ConfigError for rows whose keys and values might take more than all may together."""
        tokens = sum(self._width(row) for row in rows)
        if tokens > self._model.tokens_held():
            allowed = self._model.serving.held_mib / 1024
            needed = tokens / self._model.tokens_held() * allowed
            raise ConfigError(
                f"{len(rows)} answers of this length may take {needed:.1f} GiB of memory, "
                f"{allowed:.1f} are allowed; ask for shorter ones, or for fewer at once"
            )
