"""Connections within bounds, before any request is whole.

uvicorn waits for ever for the head of a request, however long it grows, and for the first byte of a
connection; it takes as many connections as there are files, and lets a client that does not read
its answer keep it. None of that needs a token.
"""

import sys
from dataclasses import dataclass, field
from typing import Any

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from genagent_tools.server.config import ServerConfig
from genagent_tools.server.errors import error_response

MAX_HEAD = 64 * 1024
"""Bytes of a request's line and headers, and of what follows a body."""
MAX_HEADERS = 100
STALL_SECONDS = 30.0
"""Without a byte of its answer taken, after which a client is hung up on."""

_REFUSALS = {
    400: "this is no HTTP request",
    408: "the request did not arrive in time",
    431: f"the request has more than {MAX_HEADERS} headers or {MAX_HEAD} bytes of them",
    503: "too many connections; come back later",
}


@dataclass(kw_only=True, eq=False)
class Connections:
    """How many there may be, and those that wait for a request: whoever has waited longest goes
    when there is one too many."""

    most: int
    head_seconds: float
    waiting: "dict[BoundedProtocol, None]" = field(default_factory=dict)

    def make_room(self, newest: "BoundedProtocol", open_now: int) -> None:
        if open_now <= self.most:
            return
        longest = next(iter(self.waiting))
        longest.leave_line()
        if longest is newest:
            # All others are being answered.
            longest.refuse(503)
        else:
            longest.transport.abort()


def bounded_protocol(config: ServerConfig) -> type[HttpToolsProtocol]:
    """The protocol of one server's connections, as uvicorn takes it for ``http``."""

    class Bounded(BoundedProtocol):
        line = Connections(
            most=min(config.max_connections, max(1, _files() // 2)),
            head_seconds=config.head_seconds,
        )

    return Bounded


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's own, whose requests come within bounds of size and time."""

    line: Connections

    def __init__(self, *more: Any, **named: Any) -> None:
        super().__init__(*more, **named)
        self._silent_bytes = 0
        """Since the last one of a body, or since a message ended."""
        self._head_bytes = self._headers = 0
        self._is_large = self._is_in_head = False
        self._is_whole = True
        """No message is on its way."""
        self._cycles: list[RequestResponseCycle] = []
        """Requests that are not answered yet, for some clients send the next one before."""
        self._alarm: Any = None
        self._stall: Any = None
        self._unsent = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait()
        self._start_alarm()
        self.line.make_room(self, len(self.connections))

    def connection_lost(self, exc: Exception | None) -> None:
        self.leave_line()
        self._stop_stall()
        # uvicorn tells only the last one, and the others would write to a closed connection.
        for cycle in self._cycles:
            cycle.disconnected = True
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._silent_bytes += len(data)
        if self in self.line.waiting and self._alarm is None:
            self._start_alarm()
        super().data_received(data)
        if self._silent_bytes > MAX_HEAD and not self.transport.is_closing():
            self.refuse(431)

    def on_message_begin(self) -> None:
        self._head_bytes = self._headers = 0
        self._is_whole, self._is_in_head = False, True
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers += 1
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self.leave_line()
        super().on_headers_complete()
        self._cycles = [each for each in self._cycles if not each.response_complete]
        self._cycles.append(self.cycle)

    def on_body(self, body: bytes) -> None:
        self._silent_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._silent_bytes = 0
        self._is_whole = True
        if self in self.line.waiting:
            self._stop_alarm()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._wait()
            if not self._is_whole:
                # The rest of a body that nobody wants.
                self._start_alarm()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_stall()

    def resume_writing(self) -> None:
        self._stop_stall()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        self.refuse(431 if self._is_large else 400)

    def refuse(self, status: int) -> None:
        """Say why, unless an answer is on its way, and hang up."""
        self.leave_line()
        is_answering = self.cycle is not None and (
            self.cycle.response_started and not self.cycle.response_complete
        )
        if not is_answering:
            answer = error_response(status, _REFUSALS[status], headers={"connection": "close"})
            lines = [b"%s: %s\r\n" % header for header in answer.raw_headers]
            self.transport.write(STATUS_LINE[status] + b"".join(lines) + b"\r\n" + answer.body)
        self.transport.close()

    def leave_line(self) -> None:
        """It waits for no request any more."""
        self.line.waiting.pop(self, None)
        self._stop_alarm()

    def _wait(self) -> None:
        self.line.waiting[self] = None

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD or self._headers > MAX_HEADERS:
            self._is_large = True
            # Whatever a callback raises ends the parsing; ``send_400_response`` follows.
            raise ValueError("the head is too large")

    def _start_alarm(self) -> None:
        self._stop_alarm()
        self._alarm = self.loop.call_later(self.line.head_seconds, self._too_slow)

    def _stop_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _too_slow(self) -> None:
        if self._is_in_head and not self.transport.is_closing():
            self.refuse(408)
        else:
            self.leave_line()
            self.transport.abort()

    def _watch_stall(self) -> None:
        self._unsent = self.transport.get_write_buffer_size()
        self._stall = self.loop.call_later(STALL_SECONDS, self._has_stalled)

    def _has_stalled(self) -> None:
        if self.transport.get_write_buffer_size() >= self._unsent:
            self.transport.abort()
        else:
            self._watch_stall()

    def _stop_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None


def _files() -> int:
    """Files that this process may have open, connections among them."""
    if sys.platform == "win32":
        return 512
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft
