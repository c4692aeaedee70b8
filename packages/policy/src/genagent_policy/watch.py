"""Ranks that die are named, and the job ends: a collective would wait for them for half an hour.

Each rank counts up in the store that all of them see, and looks whether the others still do. One
that has died on this machine is known by its process within two seconds, one on another machine by
its silence. Whoever sees it first says so, and every rank ends, wherever it waits.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch.distributed as dist

EVERY = 1.0
"""Seconds between two looks."""
GRACE = 15.0
"""Seconds in which a rank may still write how far it came, when another one has died."""
ALL_GONE = "the process that holds the job together is gone; the job ends"
DIED = 1
"""Exit code of a rank that ends because another one has."""


class Watch:
    """A thread that looks after the other ranks until ``end``."""

    def __init__(
        self,
        store: dist.Store,
        *,
        rank: int,
        size: int,
        silence: float,
        give_up: Callable[[str], None] | None = None,
    ) -> None:
        """
        Args:
            store: a connection of its own: one that waits in it keeps others waiting.
            silence: seconds without a sign after which a rank is taken for dead.
            give_up: told who has died, when that is said; by default it ends the process.
        """
        self._store = store
        self._rank = rank
        self._others = [other for other in range(size) if other != rank]
        self._silence = silence
        self._give_up = end_process if give_up is None else give_up
        self._over = threading.Event()
        self._signs: dict[int, tuple[int, float]] = {}
        """By rank: its latest count, and when it was first seen, on the monotonic clock."""
        self._thread = threading.Thread(target=self._look_after, name="ranks", daemon=True)

    def begin(self) -> None:
        """Say who this is, and look from now on."""
        self._store.set(f"who {self._rank}", f"{socket.gethostname()} {os.getpid()}")
        self._store.add(f"alive {self._rank}", 1)
        self._thread.start()

    def end(self) -> None:
        """This rank stops by itself, and nobody need miss it; it is the last to look who has died,
        whose launcher may have stopped it before the next look."""
        self._over.set()
        self._thread.join(GRACE)
        with suppress(RuntimeError):  # the store goes with the rank that holds it
            self._store.set(f"done {self._rank}", "")
            for other in self._others:
                if self._is_missed(other) and self._is_gone(other):
                    self._say_once(f"{self._named(other)} has died; the job ends")

    def _look_after(self) -> None:
        while not self._over.wait(EVERY):
            try:
                self._store.add(f"alive {self._rank}", 1)
                dead = next(filter(None, map(self._what_became_of, self._others)), None)
                if dead is not None:
                    self._say_once(dead)
            except RuntimeError:
                if not self._over.is_set():
                    say(ALL_GONE)
                    self._give_up(ALL_GONE)
                return
            if dead is not None and not self._over.is_set():
                self._give_up(dead)
                return

    def _what_became_of(self, other: int) -> str | None:
        """None where it lives or has done its part, or has not begun yet."""
        if not self._is_missed(other):
            return None
        count, now = self._store.add(f"alive {other}", 0), time.monotonic()
        if self._signs.get(other, (-1, 0.0))[0] != count:
            self._signs[other] = count, now
        silent = now - self._signs[other][1]
        # A moment, so that one that has just ended by itself may have said so.
        if silent > 2 * EVERY and self._is_gone(other):
            return f"{self._named(other)} has died; the job ends"
        if silent > self._silence:
            heard = f"has not been heard of for {silent:.0f} s; the job ends"
            return f"{self._named(other)} {heard}"
        return None

    def _is_missed(self, other: int) -> bool:
        return self._store.check([f"who {other}"]) and not self._store.check([f"done {other}"])

    def _where(self, other: int) -> tuple[str, int]:
        host, process = self._store.get(f"who {other}").decode().rsplit(" ", 1)
        return host, int(process)

    def _named(self, other: int) -> str:
        host, process = self._where(other)
        return f"rank {other} (process {process} on {host})"

    def _is_gone(self, other: int) -> bool:
        host, process = self._where(other)
        return host == socket.gethostname() and not _runs(process)

    def _say_once(self, line: str) -> None:
        """Of all ranks that see it the first one says it."""
        if self._store.add(f"said {line}", 1) == 1:
            say(line)


def say(line: str) -> None:
    """On standard error."""
    sys.stderr.write(f"error: {line}\n")
    sys.stderr.flush()


def end_process(reason: str) -> None:
    """What the main thread has not ended by itself after a while, ends here: it may wait in a
    collective that no exception reaches."""
    time.sleep(GRACE)
    os._exit(DIED)


def _runs(process: int) -> bool:
    """Whether there is such a process that is no mere zombie."""
    try:
        os.kill(process, 0)
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    except (ProcessLookupError, FileNotFoundError, IndexError):
        return False
    except PermissionError:
        return True
    return state[0] != "Z"
