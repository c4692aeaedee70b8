"""What trajectories that run side by side wait for, and where the time goes."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

logger = logging.getLogger("genagent_rollout")

PATIENCE = 60.0
"""Seconds without a turn or a picture after which it is said what is waited for."""


class Waits:
    """Waits of one kind: how many there are now, and the seconds in which there was any."""

    def __init__(self) -> None:
        self.now = 0
        self.ended = 0
        self._seconds = 0.0
        self._since = 0.0

    @property
    def seconds(self) -> float:
        return self._seconds + (time.perf_counter() - self._since if self.now else 0.0)

    def begin(self) -> None:
        if self.now == 0:
            self._since = time.perf_counter()
        self.now += 1

    def end(self) -> None:
        self.now -= 1
        self.ended += 1
        if self.now == 0:
            self._seconds += time.perf_counter() - self._since

    @contextmanager
    def one(self) -> Iterator[None]:
        """Around a wait."""
        self.begin()
        try:
            yield
        finally:
            self.end()


class Activity:
    """Turns and pictures that are waited for; of one event loop."""

    def __init__(self, drawn: Callable[[int, int], None] | None = None) -> None:
        """
        Args:
            drawn: told how many pictures have come, of how many that were asked for so far; also on
                the thread that draws.
        """
        self.turns = Waits()
        self.pictures = Waits()
        self.pictures_asked = 0
        self.pictures_come = 0
        """Or failed. Those of a batch that is still under way are among them."""
        self._drawn = drawn
        self.when_no_turn: Callable[[], None] | None = None
        """Called when no turn is waited for, after who had the last one has gone on."""
        self._looking = False

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Around the wait for a turn."""
        with self.turns.one():
            yield
        self.look()

    @contextmanager
    def picture(self) -> Iterator[None]:
        """Around the wait for a picture that comes by itself."""
        self.ask_picture()
        try:
            with self.pictures.one():
                yield
        finally:
            self.count_pictures(1)

    def ask_picture(self) -> None:
        """One more is asked for."""
        self.pictures_asked += 1

    def count_pictures(self, come: int) -> None:
        """So many more have come, while others of their batch may still be drawn."""
        self.pictures_come += come
        if self._drawn is not None:
            self._drawn(self.pictures_come, self.pictures_asked)

    def look(self) -> None:
        """Have ``when_no_turn`` called soon, once, if no turn is waited for."""
        if self.turns.now == 0 and self.when_no_turn is not None and not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        self._looking = False
        if self.when_no_turn is not None:
            self.when_no_turn()

    @contextmanager
    def watched(self, patience: float = PATIENCE) -> Iterator[None]:
        """Inside, a line is logged whenever nothing has come for ``patience`` seconds."""
        ended = threading.Event()

        def watch() -> None:
            before = self.turns.ended + self.pictures_come
            while not ended.wait(patience):
                now = self.turns.ended + self.pictures_come
                if now == before:
                    logger.warning(
                        "no turn and no picture has come for %g s; %d turns and %d pictures are "
                        "waited for",
                        patience,
                        self.turns.now,
                        self.pictures_asked - self.pictures_come,
                    )
                before = now

        watcher = threading.Thread(target=watch, name="rollout-watchdog", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()
