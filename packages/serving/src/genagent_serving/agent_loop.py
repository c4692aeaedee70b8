"""One engine for many people: trajectories side by side on an event loop of a thread of its own.

An engine is of one event loop, and a pass of the model would keep a web server's from answering.
So requests come from other threads and get a promise; cancelling it gives the trajectory up, and
with it the conversation's pages.
"""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import Future

from genagent_data import Request
from genagent_rollout import Engine, Watcher
from genagent_rollout.drawing import Drawing
from genagent_serving.answered import Answered
from genagent_serving.answering import answer
from genagent_serving.serve_config import AgentLoopConfig

SPEED_MEMORY = 0.8
"""Weight of the past in the running mean of a trajectory's seconds."""


class NoRoom(Exception):
    """More trajectories are in progress and waiting than are taken on."""


class PromptTooLong(ValueError):
    """The engine has no room for a conversation about this request; the message has the numbers."""


class AgentLoop:
    """Trajectories by one engine and one tool; all members may be used from any thread."""

    def __init__(self, engine: Engine, drawing: Drawing, config: AgentLoopConfig) -> None:
        self.config = config
        self._engine = engine
        self._drawing = drawing
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._places = asyncio.Semaphore(config.at_once)
        self._thread = threading.Thread(target=self._run, name="agent", daemon=True)
        self._count = threading.Lock()
        self._taken = 0
        self._waiting = 0
        self._seconds = 0.0

    def start(self) -> None:
        """Begin to act."""
        self._thread.start()

    def begin(
        self, request: Request, *, seeds: Sequence[int], watcher: Watcher | None = None
    ) -> list[Future[Answered]]:
        """Take on an attempt at a request for each seed, or none of them.

        The promises fail as ``act`` does, and with PromptTooLong.

        Args:
            watcher: told of each turn and picture, on the loop's thread.

        Raises:
            NoRoom: come back later; ``waiting`` and ``per_second`` say when.
        """
        room = self.config.at_once + self.config.max_waiting
        with self._count:
            if self._taken + len(seeds) > room:
                raise NoRoom(f"{self._taken} requests are in progress or waiting, {room} may")
            self._taken += len(seeds)
        attempts = []
        for seed in seeds:
            acting = self._attempt(request, seed, watcher)
            attempt = asyncio.run_coroutine_threadsafe(acting, self._loop)
            attempt.add_done_callback(self._release)
            attempts.append(attempt)
        return attempts

    @property
    def alive(self) -> bool:
        """It is at work."""
        return self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """Trajectories whose turn has not come."""
        return self._waiting

    @property
    def in_progress(self) -> int:
        return max(0, self._taken - self._waiting)

    @property
    def per_second(self) -> float:
        """Trajectories that a full house ends in a second; 0 before the first one."""
        return self.config.at_once / self._seconds if self._seconds else 0.0

    def stop(self, seconds: float) -> bool:
        """Give up what is in progress; whether the thread has ended within the time. Stopping twice
        is stopping."""
        if self._thread.ident is None:
            self._loop.close()
            return True
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        def loop() -> asyncio.AbstractEventLoop:
            return self._loop

        # What still runs when the block ends is cancelled, and its conversations are closed.
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(self._until_stopped())

    async def _until_stopped(self) -> None:
        await self._stopping.wait()

    async def _attempt(self, request: Request, seed: int, watcher: Watcher | None) -> Answered:
        # Found out before it waits for its turn, and before anything is spent on it.
        try:
            self._engine.open(request.prompt, seed=seed).close()
        except ValueError as error:
            raise PromptTooLong(str(error)) from error
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
        try:
            answered = await answer(
                self._engine,
                self._drawing,
                request,
                seed=seed,
                max_rounds=self.config.max_rounds,
                watcher=watcher,
            )
        finally:
            self._places.release()
        past = self._seconds or answered.seconds
        self._seconds = SPEED_MEMORY * past + (1 - SPEED_MEMORY) * answered.seconds
        return answered

    def _release(self, attempt: "Future[Answered]") -> None:
        with self._count:
            self._taken -= 1
