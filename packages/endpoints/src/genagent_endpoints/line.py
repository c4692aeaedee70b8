"""Requests that stand in line for a place in flight and for a server, in the order of their asking.

One that comes back for another try stands before all that have not been tried yet, so that its
deadline does not pass while it waits.
"""

import asyncio
from bisect import insort
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from genagent_endpoints.config import EndpointsConfig
from genagent_endpoints.exchange import Exchange
from genagent_endpoints.failures import Late, Refused, Rejected, Trouble
from genagent_endpoints.servers import Counts, Past, Server, Servers

AHEAD = 4
"""Requests that are made ready before their turn. Writing the PNG of a large picture takes
tens of milliseconds, in which its place at the server would be empty."""


@dataclass(kw_only=True, eq=False)
class Ticket(Past):
    """One request in line."""

    deadline: float | None = None
    """On the event loop's clock; None until it had a place or would have had one."""
    turn: "asyncio.Future[Server]" = field(init=False)
    patience: asyncio.Timeout = field(init=False)

    def prepare(self) -> None:
        """Called when its turn comes near, perhaps more than once."""


class Line:
    """Hands out places and servers. Lives on one event loop."""

    def __init__(self, config: EndpointsConfig, exchange: Exchange, counts: Counts) -> None:
        self.config = config
        self.exchange = exchange
        self.servers = Servers(config, counts=counts, clock=asyncio.get_running_loop().time)
        self._waiting: list[Ticket] = []
        self._loop = asyncio.get_running_loop()
        self._is_called = False
        self._alarm: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def server_for(self, ticket: Ticket) -> AsyncIterator[Server]:
        """A server to ask in the block, whose end says what to think of it.

        Raises:
            Rejected: no server takes requests of ours.
            Late: the deadline passes before one is free.
        """
        server = await self._take(ticket)
        # Given up, unless something is learnt.
        ended: BaseException | None = asyncio.CancelledError()
        try:
            yield server
            ended = None
        except (Refused, Trouble) as error:
            ended = error
            raise
        finally:
            self._settle(server, ticket, ended)

    async def close(self) -> None:
        """Hang up."""
        await self.exchange.close()

    async def _take(self, ticket: Ticket) -> Server:
        ticket.turn = self._loop.create_future()
        insort(self._waiting, ticket, key=lambda each: each.number)
        self._call_next()
        server: Server | None = None
        try:
            async with asyncio.timeout_at(ticket.deadline) as ticket.patience:
                server = await ticket.turn
                return server
        except TimeoutError as error:
            last = self.servers.last_trouble
            raise Late(f"every server rests or is full; the last trouble: {last}") from error
        finally:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            elif server is None and not ticket.turn.cancelled() and not ticket.turn.exception():
                self._settle(ticket.turn.result(), ticket, asyncio.CancelledError())

    def _settle(self, server: Server, ticket: Ticket, ended: BaseException | None) -> None:
        self.servers.settle(server, ticket, ended)
        self._call_next()

    def _call_next(self) -> None:
        # Not at once: a request that is tried again without a pause goes before the next one.
        if not self._is_called:
            self._is_called = True
            self._loop.call_soon(self._advance)

    def _advance(self) -> None:
        self._is_called = False
        if self._alarm is not None:
            self._alarm.cancel()
        waiting, self._waiting = self._waiting, []
        for place, ticket in enumerate(waiting):
            if self.servers.in_flight >= self.config.max_concurrency:
                self._waiting += waiting[place:]
                break
            # One that was given up is done, and about to say so.
            if not ticket.turn.done() and not self._serve(ticket):
                self._waiting.append(ticket)
        for ticket in self._waiting[:AHEAD]:
            ticket.prepare()
        end = self.servers.next_end_of_rest()
        if self._waiting and end is not None:
            self._alarm = self._loop.call_at(end, self._advance)

    def _serve(self, ticket: Ticket) -> bool:
        """Whether the ticket has a server, or will have none; a place is free."""
        try:
            server = self.servers.take(ticket)
        except Rejected as error:
            ticket.turn.set_exception(error)
            return True
        if ticket.deadline is None:
            ticket.deadline = self._loop.time() + self.config.deadline_seconds
            ticket.patience.reschedule(ticket.deadline)
        if server is not None:
            ticket.prepare()
            ticket.turn.set_result(server)
        elif self.servers.none_before() >= ticket.deadline:
            ticket.turn.set_exception(TimeoutError())
        return ticket.turn.done()
