"""Which of several servers to ask next, and which to leave alone."""

import itertools
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from genagent_endpoints.config import EndpointsConfig
from genagent_endpoints.failures import (
    Absent,
    Busy,
    Refused,
    Rejected,
    Trouble,
    TurnedAway,
    Unwanted,
)


@dataclass(kw_only=True, slots=True)
class Counts:
    """What has been asked so far."""

    attempts: int = 0
    """Sent to a server."""
    failures: int = 0
    """Of them without a usable answer."""
    waits: int = 0
    """Of them answered with: later."""
    quarantines: int = 0
    """Rests of servers that kept failing."""


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


@dataclass(kw_only=True, eq=False)
class Past:
    """What one request has met with so far."""

    number: int
    """Its place in the order of all requests."""
    failures: Counter[Server] = field(default_factory=Counter)
    rejections: dict[Server, str] = field(default_factory=dict)
    home: str | None = None
    """URL of the server that is asked first while it is free, whatever the others' load."""
    unwanted: int = 0
    """Proper answers that its reader did not take."""
    unsent: int = 0
    """Of the failures: those that cost it no attempt, because nobody listened."""

    @property
    def tries(self) -> int:
        """Attempts that count."""
        return self.failures.total() + self.unwanted - self.unsent


class Servers:
    """The least loaded server first; one that keeps failing rests.

    After a rest for failures a server gets one request; others follow only if that one is
    answered. Not for several threads.
    """

    def __init__(
        self, config: EndpointsConfig, *, counts: Counts, clock: Callable[[], float]
    ) -> None:
        self.all = tuple(Server(url=url.rstrip("/")) for url in config.base_urls)
        self.last_trouble = "nothing has been asked"
        self._config = config
        self._counts = counts
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
                past.home not in (None, each.url),
                each.in_flight,
                each.last_asked,
            ),
        )
        server.in_flight += 1
        server.last_asked = next(self._turns)
        return server

    def settle(self, server: Server, past: Past, ended: BaseException | None) -> None:
        """The request is over at this server; what it ended with teaches, or teaches nothing."""
        server.in_flight -= 1
        self._counts.attempts += 1
        if ended is None or isinstance(ended, Refused | Unwanted):
            server.failed.clear()
            server.rejection = None
            past.unwanted += isinstance(ended, Unwanted)
        elif isinstance(ended, Trouble):
            self.last_trouble = str(ended)
            # No request of ours would wait longer than its deadline.
            seconds = min(ended.retry_after or 0.0, self._config.deadline_seconds)
            if isinstance(ended, Busy):
                self._counts.waits += 1
                # Clients that were sent away together must not come back together.
                seconds += random.uniform(0, self._config.backoff_seconds[0])
            else:
                seconds = max(seconds, self._fail(server, past, ended))
            server.rests_until = max(server.rests_until, self._clock() + seconds)

    def next_end_of_rest(self) -> float | None:
        """When a server wakes, on the clock; None where none rests."""
        ends = [each.rests_until for each in self.all if each.rests_until > self._clock()]
        return min(ends, default=None)

    def none_before(self) -> float:
        """No server is free before then, on the clock, whatever the requests in flight come to."""
        return min(server.rests_until for server in self.all)

    def _fail(self, server: Server, past: Past, trouble: Trouble) -> float:
        """Seconds of rest for a server that failed a request."""
        self._counts.failures += 1
        server.failed.add(past.number)
        server.rejection = str(trouble) if isinstance(trouble, TurnedAway) else None
        if isinstance(trouble, TurnedAway):
            past.rejections[server] = str(trouble)
        else:
            past.failures[server] += 1
            past.unsent += self._config.waits_for_return and isinstance(trouble, Absent)
        is_resting = server.rests_until > self._clock()
        if len(server.failed) < self._config.quarantine_after or is_resting:
            return 0.0
        self._counts.quarantines += 1
        return self._config.quarantine_seconds

    def _is_probed(self, server: Server) -> bool:
        return len(server.failed) >= self._config.quarantine_after and server.in_flight > 0
