"""A bounded number of chat requests in flight until each of a batch has its reply.

A request that has to wait before its next try gives its place to another; when its wait is over it
goes before those that have not been tried yet, so that its deadline does not pass in the queue.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from genagent_rewards.chat import ChatReply, ChatRequest
from genagent_rewards.endpoints import Endpoint, Endpoints

AHEAD = 4
"""Requests that are made ready before their turn. Writing the PNG of a large picture takes
tens of milliseconds, in which its place at the endpoint would be empty."""

Fate = Literal["answered", "cut_off", "failed", "rejected", "invalid"]
"""Words came; words came but not all of them; it may work another time; this endpoint takes no
request of ours; no endpoint would take this one request."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How one attempt ended. Example: ``Outcome(fate="failed", error="500: overloaded")``"""

    fate: Fate
    text: str = ""
    error: str = ""
    retry_after: float | None = None
    """Seconds, where the server named them."""


class Limits(Protocol):
    """The part of ``OpenAIChatConfig`` that a batch goes by."""

    @property
    def max_concurrency(self) -> int: ...
    @property
    def max_attempts(self) -> int: ...
    @property
    def deadline_seconds(self) -> float: ...
    @property
    def backoff_seconds(self) -> tuple[float, float]: ...


@dataclass(kw_only=True, slots=True)
class Job:
    """One request on its way."""

    index: int
    request: ChatRequest
    attempts: int = 0
    failures: int = 0
    refusals: int = 0
    """Replies that came and were not accepted."""
    deadline: float = 0.0
    """Set with the first attempt; seconds of the event loop."""
    raw: str = ""
    last: Endpoint | None = None
    messages: list[dict[str, object]] = field(default_factory=list)


class Batch:
    """Runs once.

    Args:
        prepare: makes a request ready; awaited once, before its first attempt.
        send: makes one attempt at one endpoint, and never raises for its failure.
    """

    def __init__(
        self,
        requests: Sequence[ChatRequest],
        *,
        model: str,
        limits: Limits,
        endpoints: Endpoints,
        prepare: Callable[[Job], Coroutine[None, None, None]],
        send: Callable[[Endpoint, Job], Awaitable[Outcome]],
        accept: Callable[[str], bool],
        arrived: Callable[[int, ChatReply], None] | None,
    ) -> None:
        self.jobs = [Job(index=index, request=one) for index, one in enumerate(requests)]
        self.model = model
        self.limits = limits
        self.endpoints = endpoints
        self.prepare = prepare
        self.send = send
        self.accept = accept
        self.arrived = arrived
        self.replies: dict[int, ChatReply] = {}
        self._preparing: list[asyncio.Task[None]] = []
        self._queue: asyncio.PriorityQueue[tuple[int, Job | None]] = asyncio.PriorityQueue()

    async def run(self) -> list[ChatReply]:
        """The replies in order. Raises EveryEndpointRejectsError where none takes a request."""
        self.endpoints.begin()
        for job in self.jobs:
            self._enqueue(job)
        count = min(self.limits.max_concurrency, len(self.jobs))
        workers = [asyncio.create_task(self._work()) for _ in range(count)]
        try:
            await asyncio.gather(*workers)
        finally:
            for task in (*workers, *self._preparing):
                task.cancel()
            await asyncio.gather(*workers, *self._preparing, return_exceptions=True)
        return [self.replies[job.index] for job in self.jobs]

    def _enqueue(self, job: Job) -> None:
        # Requests are first tried in order, so that a retry goes before all that wait their turn.
        self._queue.put_nowait((job.index, job))

    async def _work(self) -> None:
        clock = asyncio.get_running_loop().time
        while (job := (await self._queue.get())[-1]) is not None:
            for coming in self.jobs[len(self._preparing) : job.index + 1 + AHEAD]:
                self._preparing.append(asyncio.create_task(self.prepare(coming)))
            await self._preparing[job.index]
            if not job.attempts:
                job.deadline = clock() + self.limits.deadline_seconds
            endpoint = self.endpoints.choose(clock(), avoid=job.last)
            job.attempts += 1
            endpoint.in_flight += 1
            try:
                outcome = await self.send(endpoint, job)
            finally:
                endpoint.in_flight -= 1
            self._settle(job, endpoint, outcome, clock())

    def _settle(self, job: Job, endpoint: Endpoint, outcome: Outcome, now: float) -> None:
        error = outcome.error
        wait = 0.0
        job.last = None
        if outcome.fate in ("answered", "cut_off"):
            self.endpoints.succeeded(endpoint)
            job.raw = outcome.text
            if outcome.fate == "answered" and self.accept(outcome.text):
                return self._finish(job, None)
            job.refusals += 1
            error = error or "the reply was refused"
        elif outcome.fate == "invalid":
            self.endpoints.succeeded(endpoint)
            return self._finish(job, error)
        elif outcome.fate == "rejected":
            endpoint.rejection = error
            # Another endpoint may take it, and those that reject are asked only once.
            return self._enqueue(job)
        else:
            wait = self._back_off(job, endpoint, outcome.retry_after, now)
        if job.attempts >= self.limits.max_attempts:
            return self._finish(job, f"{error} (after {job.attempts} attempts)")
        if now + wait >= job.deadline:
            seconds = self.limits.deadline_seconds
            return self._finish(job, f"{error} (the deadline of {seconds:g} s is over)")
        if wait == 0:
            return self._enqueue(job)
        asyncio.get_running_loop().call_later(wait, self._enqueue, job)

    def _back_off(
        self, job: Job, endpoint: Endpoint, retry_after: float | None, now: float
    ) -> float:
        """Seconds to wait; endpoints that fail or ask for a pause are avoided meanwhile."""
        job.last = endpoint
        job.failures += 1
        if retry_after is None:
            self.endpoints.failed(endpoint, now)
        else:
            self.endpoints.told_to_wait(endpoint, now + retry_after)
        first, most = self.limits.backoff_seconds
        # Full jitter: many clients that failed together must not come back together.
        wait = random.uniform(0, min(most, first * 2 ** (job.failures - 1)))
        if retry_after is None or self.endpoints.has_other(now, endpoint):
            return wait
        return retry_after + wait

    def _finish(self, job: Job, error: str | None) -> None:
        reply = ChatReply(
            text=job.raw if error is None else None,
            attempts=job.attempts,
            model=self.model,
            error=error,
            raw=job.raw,
        )
        job.messages = []
        self.replies[job.index] = reply
        if self.arrived is not None:
            self.arrived(job.index, reply)
        if len(self.replies) == len(self.jobs):
            for place in range(len(self.jobs)):
                self._queue.put_nowait((place, None))
