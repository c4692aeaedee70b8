"""Requests that stand in line for a place in flight and for a server, in the order of their asking.

One that comes back for another try stands before all that have not been tried yet, so that its
deadline does not pass while it waits.
"""

import asyncio
from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, field

from genagent_endpoints.failures import Rejected
from genagent_endpoints.servers import Past, Server, Servers

AHEAD = 4
"""Requests that are made ready before their turn. Writing the PNG of a large picture takes
tens of milliseconds, in which its place at the server would be empty."""


@dataclass(kw_only=True, slots=True, eq=False)
class Ticket:
    """One request in line."""

    past: Past
    prepare: Callable[[], None]
    """Called when its turn comes near, perhaps again."""
    deadline: float | None = None
    """On the event loop's clock; None until it had a place or would have had one."""
    turn: "asyncio.Future[Server]" = field(init=False)
    patience: asyncio.Timeout = field(init=False)


class Line:
    """Hands out places and servers. Lives on one event loop."""

    def __init__(self, servers: Servers, *, places: int, deadline_seconds: float) -> None:
        self.servers = servers
        self._places = places
        self._deadline_seconds = deadline_seconds
        self._waiting: list[Ticket] = []
        self._clock = asyncio.get_running_loop().time
        self._called = False
        self._alarm: asyncio.TimerHandle | None = None

    async def take(self, ticket: Ticket) -> Server:
        """The server to ask; ``settle`` gives it back.

        Raises:
            Rejected: no server takes requests of ours.
            TimeoutError: the deadline passes before one is free.
        """
        ticket.turn = asyncio.get_running_loop().create_future()
        insort(self._waiting, ticket, key=_order)
        self._call_next()
        server: Server | None = None
        try:
            async with asyncio.timeout_at(ticket.deadline) as ticket.patience:
                server = await ticket.turn
                return server
        finally:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            elif server is None and _is_granted(ticket.turn):
                self.settle(self.servers.let_go, ticket.turn.result())

    def settle(self, lesson: Callable[[Server], None], server: Server) -> None:
        """The request is over: teaches what was learnt and lets the next one in."""
        lesson(server)
        self._call_next()

    def _call_next(self) -> None:
        # Not at once: a request that is tried again without a pause goes before the next one.
        if not self._called:
            self._called = True
            asyncio.get_running_loop().call_soon(self._advance)

    def _advance(self) -> None:
        self._called = False
        if self._alarm is not None:
            self._alarm.cancel()
        standing: list[Ticket] = []
        waiting, self._waiting = self._waiting, standing
        for place, ticket in enumerate(waiting):
            if self.servers.in_flight >= self._places:
                standing += waiting[place:]
                break
            if ticket.turn.done():
                # Given up, and about to say so.
                continue
            try:
                server = self.servers.take(ticket.past)
            except Rejected as error:
                ticket.turn.set_exception(error)
                continue
            if ticket.deadline is None:
                ticket.deadline = self._clock() + self._deadline_seconds
                ticket.patience.reschedule(ticket.deadline)
            if server is not None:
                ticket.prepare()
                ticket.turn.set_result(server)
            elif self.servers.none_before() >= ticket.deadline:
                ticket.turn.set_exception(TimeoutError())
            else:
                standing.append(ticket)
        for ticket in standing[:AHEAD]:
            ticket.prepare()
        end = self.servers.next_end_of_rest()
        if standing and end is not None:
            self._alarm = asyncio.get_running_loop().call_at(end, self._advance)


def _order(ticket: Ticket) -> int:
    return ticket.past.number


def _is_granted(turn: "asyncio.Future[Server]") -> bool:
    return turn.done() and not turn.cancelled() and turn.exception() is None
