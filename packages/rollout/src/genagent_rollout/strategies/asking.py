"""How trajectories that run side by side get a model's words.

Endpoints are asked one by one, as each trajectory comes to it. A model in this process answers
batches: all that is asked for in one turn of the event loop. Which batches these are depends on the
order of the asking alone as long as the tool is in this process too (see ``drawing``).
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from genagent_rewards import AsyncChatModel, ChatModel, ChatReply, ChatRequest
from genagent_rewards.kept_answers import (
    KeptAnswers,
    chat_key,
    read_reply,
    worth_keeping,
    write_reply,
)

Accept = Callable[[str], bool]


class Asking(Protocol):
    """Gets words for many trajectories."""

    @property
    def name(self) -> str:
        """See ``ChatModel``."""
        ...

    async def ask(self, request: ChatRequest, *, accept: Accept, seed: int) -> ChatReply:
        """As ``ChatModel.reply``, of one request. Raises ValueError where no request can succeed.

        Args:
            seed: tells apart who asks the same thing.
        """
        ...


def asking_by(
    chat: ChatModel | AsyncChatModel,
    *,
    kept: KeptAnswers | None = None,
    sampled: bool = True,
    max_tokens: int | None = None,
) -> Asking:
    """The way of the model: one by one where it is asked so, else in batches.

    Args:
        kept: where the words of endpoints are kept as they come.
        sampled: whether another seed is to hear other words; at temperature 0 it would pay for the
            same ones again.
        max_tokens: of a reply; what was refused under another limit, which may have cut it off, is
            asked for again.
    """
    if isinstance(chat, AsyncChatModel):
        return ServedAsking(chat, kept=kept, sampled=sampled, max_tokens=max_tokens)
    return BatchedAsking(chat)


class ServedAsking:
    """By endpoints, one by one."""

    def __init__(
        self,
        chat: AsyncChatModel,
        *,
        kept: KeptAnswers | None = None,
        sampled: bool = True,
        max_tokens: int | None = None,
    ) -> None:
        """See ``asking_by``."""
        self._chat = chat
        self._kept = kept
        self._sampled = sampled
        self._limit = {"max_tokens": max_tokens}

    @property
    def name(self) -> str:
        return self._chat.name

    async def ask(self, request: ChatRequest, *, accept: Accept, seed: int) -> ChatReply:
        """See ``Asking``. Raises OSError where the words cannot be kept."""
        if self._kept is None:
            return await self._chat.reply_one(request, accept=accept)
        seeds = [seed] if self._sampled else []
        key = chat_key(self.name, request, *seeds)
        refused = chat_key(self.name, request, *seeds, self._limit)
        there = {place: read_reply(text) for place, text in self._kept.find([key, refused]).items()}
        if key in there and there[key].text is not None:
            return there[key]
        if refused in there:
            return there[refused]
        reply = await self._chat.reply_one(request, accept=accept)
        if worth_keeping(reply):
            where = refused if reply.text is None else key
            self._kept.store([(where, write_reply(reply))])
        return reply


class BatchedAsking:
    """By a model in this process, in batches."""

    def __init__(self, chat: ChatModel) -> None:
        self._chat = chat
        self._asked: list[tuple[ChatRequest, Accept, asyncio.Future[ChatReply]]] = []

    @property
    def name(self) -> str:
        return self._chat.name

    async def ask(self, request: ChatRequest, *, accept: Accept, seed: int) -> ChatReply:
        """See ``Asking``; the words do not depend on the seed."""
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[ChatReply] = loop.create_future()
        if not self._asked:
            # After all that go on in this turn of the loop, as those do who were handed a picture.
            loop.call_soon(self._answer)
        self._asked.append((request, accept, reply))
        return await reply

    def _answer(self) -> None:
        asked, self._asked = self._asked, []
        # One batch for each way of reading: verifiers and writers may be the same model.
        for accept in dict.fromkeys(accept for _, accept, _ in asked):
            own = [(request, reply) for request, used, reply in asked if used == accept]
            try:
                said = self._chat.reply([request for request, _ in own], accept=accept)
            except Exception as error:  # raised where the words are waited for
                said = [error] * len(own)
            for (_, reply), words in zip(own, said, strict=True):
                if reply.done():
                    continue
                if isinstance(words, Exception):
                    reply.set_exception(words)
                else:
                    reply.set_result(words)
