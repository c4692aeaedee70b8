"""The event loop of an HTTP tool, on a thread of its own, so that any thread may wait for it."""

import asyncio
import threading
import weakref
from collections.abc import Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import aiohttp

Result = TypeVar("Result")


class RequestLoop:
    """Runs requests of one session until it is closed; one that nobody uses closes itself."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        decoders = ThreadPoolExecutor(thread_name_prefix="http-image-tool-decode")
        self._loop.set_default_executor(decoders)
        thread = threading.Thread(
            target=self._loop.run_forever, name="http-image-tool", daemon=True
        )
        thread.start()
        self.session = asyncio.run_coroutine_threadsafe(_open_session(), self._loop).result()
        self._end = weakref.finalize(self, _end, self._loop, thread, self.session, decoders)

    def start(self, work: Coroutine[Any, Any, Result]) -> Future[Result]:
        """Begin the work, from any thread. Raises ValueError where the loop is closed."""
        if not self._end.alive:
            work.close()
            raise ValueError("the tool is closed; make another one")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """What the work comes to, from any thread. Raises ValueError where the loop is closed."""
        running = self.start(work)
        try:
            return running.result()
        except BaseException:  # Ctrl-C too must not leave requests on their way
            running.cancel()
            raise

    def close(self) -> None:
        """Hang up. What is still on its way is given up."""
        self._end()


async def _open_session() -> aiohttp.ClientSession:
    """Made on the loop that will use it; the exchange's own timeout covers everything."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=None),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def _end(
    loop: asyncio.AbstractEventLoop,
    thread: threading.Thread,
    session: aiohttp.ClientSession,
    decoders: ThreadPoolExecutor,
) -> None:
    if threading.current_thread() is thread:
        # A request on its way was the last to hold the tool, and the loop cannot wait for itself.
        loop.create_task(_hang_up(session)).add_done_callback(lambda _: loop.stop())
        return
    if not thread.is_alive():
        # A fork of the process has the tool and not its thread.
        return
    try:
        asyncio.run_coroutine_threadsafe(_hang_up(session), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        decoders.shutdown(wait=False)
        loop.close()


async def _hang_up(session: aiohttp.ClientSession) -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await session.close()
