"""`/v1/chat/completions` and `/v1/completions`, whole or as a stream of server-sent events."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from api.errors import error_json
from api.logprobs import in_shape_of
from api.metrics import Counted
from api.schemas import Asked, ChatAsked, Kind, TextAsked
from service.annotators import annotator_of
from service.complete import CompleteRequest, Completions, TokenLogProb, Written, complete, save_completions
from service.context import Services

Keep = Callable[[Completions], Awaitable[None]]  # counts an answer that has ended, and stores it if that was asked
LOOK_SECONDS = 0.5  # between two looks whether a caller is still there
DONE = "data: [DONE]\n\n"
CLOSED = 499  # what web servers log for a client that left


@dataclass(frozen=True)
class Reply:
    """What all parts of one answer have in common."""

    kind: Kind
    model: str
    id: str
    created: int
    log_probs: bool  # whether they are told
    token_ids: bool  # the same

    @classmethod
    def to(cls, kind: Kind, request: CompleteRequest, *, token_ids: bool) -> "Reply":
        """Return the head of a new answer."""
        name = f"{'chatcmpl' if kind == 'chat' else 'cmpl'}-{secrets.token_hex(12)}"
        return cls(kind, request.model, name, int(time.time()), request.top_log_probs is not None, token_ids)

    def head(self, *, chunk: bool) -> dict[str, Any]:
        """Return the fields that each part begins with."""
        name = "text_completion" if self.kind == "text" else f"chat.completion{'.chunk' if chunk else ''}"
        return {"id": self.id, "object": name, "created": self.created, "model": self.model}

    def whole(self, held: Completions) -> dict[str, Any]:
        """Return the answer as one object."""
        choices = [self._choice(i, one) for i, one in enumerate(held.written)]
        return {**self.head(chunk=False), "choices": choices, "usage": usage(held)}

    def _choice(self, index: int, one: Written) -> dict[str, Any]:
        said: dict[str, Any] = {"text": one.text}
        if self.kind == "chat":
            said = {"message": {"role": "assistant", "content": one.text, "refusal": None}}
        choice = {"index": index, **said, "logprobs": self._told(one.log_probs), "finish_reason": one.end}
        return choice | self._ids(one.state.token_ids)

    def part(
        self,
        index: int,
        text: str | None,
        end: str | None,
        *,
        first: bool = False,
        log_probs: Sequence[TokenLogProb] = (),
        token_ids: Sequence[int] = (),
    ) -> dict[str, Any]:
        """Return a piece of one completion; `text` None says nothing more."""
        said: dict[str, Any] = {"text": text or ""}
        if self.kind == "chat":
            delta: dict[str, Any] = {"role": "assistant"} if first else {}
            said = {"delta": delta | ({} if text is None else {"content": text})}
        told = self._told(log_probs) if log_probs else None
        choice = {"index": index, **said, "logprobs": told, "finish_reason": end} | self._ids(token_ids)
        return {**self.head(chunk=True), "choices": [choice]}

    def _told(self, log_probs: Sequence[TokenLogProb]) -> dict[str, Any] | None:
        return in_shape_of(self.kind, log_probs) if self.log_probs else None

    def _ids(self, token_ids: Sequence[int]) -> dict[str, Any]:
        return {"token_ids": list(token_ids)} if self.token_ids else {}


def usage(held: Completions) -> dict[str, int]:
    """Return the tokens read and written."""
    written = sum(one.tokens for one in held.written)
    return {
        "prompt_tokens": held.prompt_tokens,
        "completion_tokens": written,
        "total_tokens": held.prompt_tokens + written,
    }


async def answered(
    services: Services, counted: Counted, kind: Kind, asked: ChatAsked | TextAsked, caller: Request
) -> Response:
    """Return the response to a request; errors that are known before anything is written are raised."""
    request = asked.complete_request()
    reply = Reply.to(kind, request, token_ids=bool(asked.return_token_ids))

    async def keep(held: Completions) -> None:
        counted.tokens(asked.model, held)
        if isinstance(asked, ChatAsked) and asked.store:
            await asyncio.to_thread(save_completions, services, reply.id, request, held)

    if asked.stream:
        # The first step is taken here: what is refused is an error with a status, not an event in a stream.
        growing = complete(services, annotator_of(caller.scope), request)
        if (first := await _next(growing, caller)) is None:
            return Response(status_code=CLOSED)
        parts = _events(growing, first, reply, asked, keep)
        return StreamingResponse(parts, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
    return await _whole(services, request, reply, caller, keep)


async def _whole(services: Services, request: CompleteRequest, reply: Reply, caller: Request, keep: Keep) -> Response:
    latest: Completions | None = None
    async with aclosing(complete(services, annotator_of(caller.scope), request)) as growing:
        while (held := await _next(growing, caller)) is not None:
            latest = held
    if latest is None or any(one.end is None for one in latest.written):
        return Response(status_code=CLOSED)
    await keep(latest)
    return JSONResponse(reply.whole(latest))


async def _next(growing: AsyncGenerator[Completions], caller: Request) -> Completions | None:
    """Return the next step of an answer, None after the last one or once the caller has left, also while in line."""
    step = asyncio.ensure_future(anext(growing, None))
    while not (await asyncio.wait({step}, timeout=LOOK_SECONDS))[0]:
        if await caller.is_disconnected():
            step.cancel()
            await asyncio.wait({step})
            return None
    return None if await caller.is_disconnected() else step.result()


async def _events(
    growing: AsyncGenerator[Completions], first: Completions, reply: Reply, asked: Asked, keep: Keep
) -> AsyncIterator[str]:
    """Yield the events of a stream; the last one before `DONE` tells its tokens if that was asked for."""
    sent, told, given = [""] * len(first.written), [0] * len(first.written), [0] * len(first.written)
    ended: set[int] = set()
    try:
        for index in range(len(sent)):
            yield _event(reply.part(index, "", None, first=True))
        held = first
        while True:
            for index, one in enumerate(held.written):
                news = one.log_probs[told[index] :] if reply.log_probs else ()
                ids = one.state.token_ids[given[index] :]
                if len(one.text) > len(sent[index]) and one.text.startswith(sent[index]):
                    yield _event(reply.part(index, one.text[len(sent[index]) :], None, log_probs=news, token_ids=ids))
                    given[index], ids = given[index] + len(ids), ()
                    sent[index], told[index], news = one.text, told[index] + len(news), ()
                if one.end is not None and index not in ended:
                    ended.add(index)
                    yield _event(reply.part(index, None, one.end, log_probs=news, token_ids=ids))
            try:
                held = await anext(growing)
            except StopAsyncIteration:
                break
        await keep(held)
        if asked.ends_with_usage:
            yield _event({**reply.head(chunk=True), "choices": [], "usage": usage(held)})
        yield DONE
    except Exception as error:  # the status is sent: what is left is to say why nothing more comes
        yield _event(error_json(error)[1])
    finally:
        await growing.aclose()


def _event(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n"
