"""Which of several servers to ask next."""

import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

PROBE_PAUSE = 0.2
"""Seconds between looks at a server that another request is probing."""


@dataclass(kw_only=True, slots=True, eq=False)
class Server:
    """One server as this client sees it."""

    url: str
    in_flight: int = 0
    failed: set[int] = field(default_factory=set)
    """Pictures it did not give since it last gave one; one that fails everywhere counts once."""
    rests_until: float = 0.0
    """Not asked before, on the pool's clock."""
    last_asked: int = -1


class ServerPool:
    """The least loaded server first; one that keeps failing is left alone for a while.

    After its quarantine a server gets one request; others only follow if that one is answered. Not
    for several threads.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        quarantine_after: int,
        quarantine_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.servers = [Server(url=url) for url in urls]
        self.quarantines = 0
        self._quarantine_after = quarantine_after
        self._quarantine_seconds = quarantine_seconds
        self._clock = clock
        self._turns = itertools.count()

    def take(self, tried: Mapping[Server, int]) -> Server | None:
        """A server to send a request to now, of those that failed it least; None: wait."""
        open_now = [server for server in self.servers if self._is_open(server)]
        if not open_now:
            return None
        server = min(
            open_now,
            key=lambda each: (tried.get(each, 0), each.in_flight, each.last_asked),
        )
        server.in_flight += 1
        server.last_asked = next(self._turns)
        return server

    def pause(self) -> float:
        """Seconds until ``take`` may find a server."""
        now = self._clock()
        return max(PROBE_PAUSE, min(server.rests_until for server in self.servers) - now)

    def answered(self, server: Server) -> None:
        """It gave a picture, or said properly that it will not."""
        server.in_flight -= 1
        server.failed.clear()

    def busy(self, server: Server, seconds: float) -> None:
        """It asked to be left alone for so long."""
        server.in_flight -= 1
        server.rests_until = max(server.rests_until, self._clock() + seconds)

    def failed(self, server: Server, picture: int) -> None:
        """It did not answer, or not with what was asked for."""
        server.in_flight -= 1
        server.failed.add(picture)
        rested = server.rests_until <= self._clock()
        if len(server.failed) >= self._quarantine_after and rested:
            self.quarantines += 1
            server.rests_until = self._clock() + self._quarantine_seconds

    def let_go(self, server: Server) -> None:
        """The request was given up; nothing was learnt about the server."""
        server.in_flight -= 1

    def _is_open(self, server: Server) -> bool:
        probing = len(server.failed) >= self._quarantine_after and server.in_flight > 0
        return server.rests_until <= self._clock() and not probing


def retry_after_seconds(header: str | None, now: float) -> float | None:
    """What a Retry-After header says, as seconds from now (on the wall clock); None: nothing."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        seconds = parsedate_to_datetime(text).timestamp() - now
    except (ValueError, OverflowError):
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
