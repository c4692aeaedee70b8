"""Requests that threads of a pool wait for, given up all at once when nobody wants them any more.

A thread that waits cannot be told to stop, and Python joins the threads of pools before it ends: a
server that hangs would hold up the end of the program for as long as a request may take.
"""

import threading
from concurrent.futures import Future
from contextvars import ContextVar
from typing import Any


class CancelScope:
    """The requests of the threads that have entered it.

    Example: ``scope = CancelScope(); threads = ThreadPoolExecutor(32, initializer=scope.enter)``
    """

    def __init__(self) -> None:
        self._around = _ENTERED.get()
        self._running: set[Future[Any]] = set()
        self._is_cancelled = False
        self._lock = threading.Lock()

    def enter(self) -> None:
        """From here on this thread's requests are among them, and in the scopes that whoever made
        this one had entered."""
        _ENTERED.set((*self._around, self))

    def cancel(self) -> None:
        """From any thread: who waits for one of them, or asks from now on, gets CancelledError."""
        with self._lock:
            self._is_cancelled = True
            running = list(self._running)
        for request in running:
            request.cancel()

    def add(self, request: Future[Any]) -> None:
        """One more, until it is done."""
        with self._lock:
            if not self._is_cancelled:
                self._running.add(request)
        if self._is_cancelled:
            request.cancel()
        request.add_done_callback(self._discard)

    def _discard(self, request: Future[Any]) -> None:
        with self._lock:
            self._running.discard(request)


_ENTERED: ContextVar[tuple[CancelScope, ...]] = ContextVar("cancel_scopes", default=())


def in_entered_scopes(request: Future[Any]) -> None:
    """Add it to the scopes that this thread has entered."""
    for scope in _ENTERED.get():
        scope.add(request)
