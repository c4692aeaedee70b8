"""An event loop on a thread of its own, so that any thread and any other loop may wait for it."""

import asyncio
import os
import selectors
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from genagent_endpoints.cancel_scope import in_entered_scopes
from genagent_endpoints.line import Line

Result = TypeVar("Result")


_OF_PARENTS: list[Line] = []
"""Kept, because only their own process may close them."""

_STARTING = threading.Lock()
# Else a fork in the midst of a start leaves the child with a lock that nobody opens.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_STARTING.acquire,
        after_in_parent=_STARTING.release,
        after_in_child=_STARTING.release,
    )


class RequestLoop:
    """Runs work beside its line until it is closed; one that nobody uses closes itself. A fork
    of the process gets a loop and a line of its own at its first use.

    Args:
        connect: makes the line, on the loop.
    """

    def __init__(self, connect: Callable[[], Coroutine[Any, Any, Line]]) -> None:
        self._connect = connect
        self._start()

    @property
    def line(self) -> Line:
        """What lives on the loop; touch it only there. Raises ValueError where that is closed."""
        if not self._end.alive:
            raise ValueError("the client is closed; make another one")
        if self._process != os.getpid():
            with _STARTING:
                if self._process != os.getpid():
                    self._end.detach()
                    _OF_PARENTS.append(self._line)
                    self._start()
        return self._line

    def start(self, work: Coroutine[Any, Any, Result]) -> Future[Result]:
        """Begin the work, from any thread. Raises ValueError where the loop is closed."""
        try:
            _ = self.line
        except ValueError:
            work.close()
            raise
        running = asyncio.run_coroutine_threadsafe(work, self._loop)
        in_entered_scopes(running)
        return running

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """What the work comes to, from any thread but the loop's own. Raises ValueError where the
        loop is closed."""
        running = self.start(work)
        try:
            return running.result()
        except BaseException:  # Ctrl-C too must not leave requests on their way
            running.cancel()
            raise

    async def join(self, work: Coroutine[Any, Any, Result]) -> Result:
        """What the work comes to, on whatever event loop this is awaited. Raises ValueError where
        the loop is closed."""
        if asyncio.get_running_loop() is self._loop:
            return await work
        return await asyncio.wrap_future(self.start(work))

    def close(self) -> None:
        """Hang up. What is still on its way is given up."""
        self._end()

    def _start(self) -> None:
        # A fork shares the kernel's memory of epoll: what the child closes, the parent never hears
        # of again. Poll has none.
        self._loop = asyncio.SelectorEventLoop(selectors.PollSelector())
        workers = ThreadPoolExecutor(thread_name_prefix="endpoints-work")
        self._loop.set_default_executor(workers)
        thread = threading.Thread(target=self._loop.run_forever, name="endpoints", daemon=True)
        thread.start()
        self._line = asyncio.run_coroutine_threadsafe(self._connect(), self._loop).result()
        self._end = weakref.finalize(self, _end, self._loop, thread, self._line, workers)
        # Last: until then other threads of a fork wait.
        self._process = os.getpid()


async def together(works: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """What each comes to, in order. The first that raises ends the others, and is raised."""
    tasks: list[asyncio.Task[Result]] = []
    try:
        for work in works:
            tasks.append(asyncio.create_task(work))
            # Else the first request leaves when the last is made: of 96, 6 ms later.
            await asyncio.sleep(0)
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _end(
    loop: asyncio.AbstractEventLoop,
    thread: threading.Thread,
    line: Line,
    workers: ThreadPoolExecutor,
) -> None:
    if threading.current_thread() is thread:
        # A request on its way was the last to hold the client, and the loop cannot wait for itself.
        loop.create_task(_hang_up(line)).add_done_callback(lambda _: loop.stop())
        return
    if not thread.is_alive():
        # A fork of the process has the client and not its thread.
        return
    try:
        asyncio.run_coroutine_threadsafe(_hang_up(line), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        workers.shutdown(wait=False)
        loop.close()


async def _hang_up(line: Line) -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await line.close()
