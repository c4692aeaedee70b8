"""Conversations that another thread can end: Ctrl-C reaches the main thread's event loop alone."""

import asyncio
import threading
from contextlib import suppress

from genagent_policy import TokenTrajectory
from genagent_rewards import Picture
from genagent_rollout.conversation import Conversation, Engine, SampledTurn


class SamplingStoppedError(Exception):
    """What was being sampled is not wanted any more."""


class StoppableEngine:
    """An engine whose conversations end, with all that runs on their event loop, when it is
    stopped: what waits for a turn or for a picture is cancelled, as by Ctrl-C on the main thread.
    What blocks the loop, a pass of the model or a batch of a tool in this process, ends first."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._stopped = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(
        self, prompt: str, *, seed: int, first_seed: int | None = None
    ) -> "StoppableConversation":
        """On the event loop that its turns are awaited on.

        Raises:
            SamplingStoppedError: it was stopped.
        """
        self._loop = asyncio.get_running_loop()
        self.check()
        conversation = self._engine.open(prompt, seed=seed, first_seed=first_seed)
        return StoppableConversation(self, conversation)

    def publish(self) -> None:
        self._engine.publish()

    def stop(self) -> None:
        """From any thread, for good."""
        self._stopped.set()
        if self._loop is not None:
            with suppress(RuntimeError):  # it has just been closed
                self._loop.call_soon_threadsafe(_cancel_all)

    def check(self) -> None:
        """Raises SamplingStoppedError where it was stopped."""
        if self._stopped.is_set():
            raise SamplingStoppedError


class StoppableConversation:
    """A conversation of a ``StoppableEngine``."""

    def __init__(self, engine: StoppableEngine, conversation: Conversation) -> None:
        self._engine = engine
        self._conversation = conversation

    async def turn(self) -> SampledTurn:
        """
        Raises:
            SamplingStoppedError: its engine was stopped.
        """
        self._engine.check()
        return await self._conversation.turn()

    def observe(self, picture: Picture) -> None:
        self._conversation.observe(picture)

    def tokens(self) -> TokenTrajectory:
        return self._conversation.tokens()

    def close(self) -> None:
        self._conversation.close()


def _cancel_all() -> None:
    for task in asyncio.all_tasks():
        task.cancel()
