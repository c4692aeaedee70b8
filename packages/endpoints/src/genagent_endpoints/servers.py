"""Which of several servers to ask next, and which to leave alone."""

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from genagent_endpoints.failures import Rejected


@dataclass(kw_only=True, slots=True, eq=False)
class Server:
    """One server as this client sees it."""

    url: str
    in_flight: int = 0
    failed: set[int] = field(default_factory=set)
    """Requests it failed since its last answer; one that fails everywhere counts once."""
    rejection: str | None = None
    """Why it took no request of ours, if that was the last thing it said."""
    rests_until: float = 0.0
    """Not asked before, on the clock."""
    last_asked: int = -1


@dataclass(kw_only=True, slots=True, eq=False)
class Past:
    """What one request has met with so far."""

    number: int
    """Its place in the order of all requests."""
    failures: Counter[Server] = field(default_factory=Counter)
    rejections: dict[Server, str] = field(default_factory=dict)
    home: str | None = None
    """URL of the server that is asked first while it is free, whatever the others' load."""


class Servers:
    """The least loaded server first; one that keeps failing rests.

    After a rest for failures a server gets one request; others follow only if that one is
    answered. Not for several threads.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        quarantine_after: int,
        quarantine_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self.all = tuple(Server(url=url) for url in urls)
        self.quarantines = 0
        self.last_trouble = "none"
        self._quarantine_after = quarantine_after
        self._quarantine_seconds = quarantine_seconds
        self._clock = clock
        self._turns = itertools.count()

    @property
    def in_flight(self) -> int:
        """Requests on their way, over all servers."""
        return sum(server.in_flight for server in self.all)

    def take(self, past: Past) -> Server | None:
        """A server to send the request to now, of those that failed it least; None: wait.

        Raises:
            Rejected: none is left that takes requests of ours; says what each answered.
        """
        resting = {server for server in self.all if server.rests_until > self._clock()}
        said = {server: server.rejection for server in resting} | past.rejections
        usable = [server for server in self.all if said.get(server) is None]
        if not usable:
            raise Rejected("; ".join(f"{said[server]}" for server in self.all))
        free = [each for each in usable if each not in resting and not self._is_probed(each)]
        if not free:
            return None
        server = min(
            free,
            key=lambda each: (
                past.failures[each],
                past.home is not None and each.url.rstrip("/") != past.home,
                each.in_flight,
                each.last_asked,
            ),
        )
        server.in_flight += 1
        server.last_asked = next(self._turns)
        return server

    def next_end_of_rest(self) -> float | None:
        """When a server wakes, on the clock; None where none rests."""
        ends = [each.rests_until for each in self.all if each.rests_until > self._clock()]
        return min(ends, default=None)

    def none_before(self) -> float:
        """No server is free before then, on the clock, whatever the requests in flight come to."""
        return min(server.rests_until for server in self.all)

    def answered(self, server: Server) -> None:
        """It gave what was asked for, or said properly that it will not."""
        server.in_flight -= 1
        server.failed.clear()
        server.rejection = None

    def busy(self, server: Server, seconds: float) -> None:
        """It asked to be left alone for so long."""
        server.in_flight -= 1
        self._rest(server, seconds)

    def failed(
        self, server: Server, past: Past, *, seconds: float = 0.0, rejection: str | None = None
    ) -> None:
        """It did not answer with what was asked for.

        Args:
            seconds: for which it asked to be left alone.
            rejection: why it takes no request of ours, if that is what it says.
        """
        server.in_flight -= 1
        server.failed.add(past.number)
        server.rejection = rejection
        if rejection is None:
            past.failures[server] += 1
        else:
            past.rejections[server] = rejection
        rests = server.rests_until > self._clock()
        if len(server.failed) >= self._quarantine_after and not rests:
            self.quarantines += 1
            seconds = max(seconds, self._quarantine_seconds)
        self._rest(server, seconds)

    def let_go(self, server: Server) -> None:
        """The request was given up; nothing was learnt about the server."""
        server.in_flight -= 1

    def _rest(self, server: Server, seconds: float) -> None:
        server.rests_until = max(server.rests_until, self._clock() + seconds)

    def _is_probed(self, server: Server) -> bool:
        return len(server.failed) >= self._quarantine_after and server.in_flight > 0
