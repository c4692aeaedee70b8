"""Ctrl-C and SIGTERM: before anything has begun one line and exit code 130 or 143, in the middle of
an import too; from then on an exception, so that what was begun is ended.

As an exception it would be a page of traceback there, or be lost: Python's imports run callbacks
that swallow what is raised in them.
"""

import os
import signal
from types import FrameType

STOPPED = "stopped before anything had begun"
EXIT_CODE = 128 + signal.SIGINT
"""What a shell makes of a process that Ctrl-C has ended."""
TERMINATED = 128 + signal.SIGTERM
"""Of one that a scheduler, ``timeout`` or ``kill`` has ended."""
_NO_BAR = b"\r\x1b[2K\x1b[?25h"
"""Takes the line of a bar away and shows the cursor, which it had hidden."""
_terminated = False


def quit_on_interrupt() -> None:
    """From here on Ctrl-C and SIGTERM end the process at once. Where one is ignored, as Ctrl-C is
    by what a shell runs in the background, it stays so."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _quit)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _quit)


def raise_on_interrupt() -> None:
    """From here on both are a ``KeyboardInterrupt``: there is something to clean up."""
    if signal.getsignal(signal.SIGINT) is _quit:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGTERM) is _quit:
        signal.signal(signal.SIGTERM, _terminate)


def go_on_when_terminated() -> None:
    """From here on SIGTERM is no more than a wish: what has failed is being written down, and a
    launcher that has seen another process die tells all of them."""
    if signal.getsignal(signal.SIGTERM) is _terminate:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def exit_code() -> int:
    """With which a process ends that ``KeyboardInterrupt`` has stopped."""
    return TERMINATED if _terminated else EXIT_CODE


def _terminate(number: int, frame: FrameType | None) -> None:
    global _terminated
    # A scheduler may tell the process and then its group: the second must not end the cleaning up.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _terminated = True
    # While asyncio runs, its handler cancels what is under way; raised there, the exception would
    # end the loop and leave tasks behind, whose tracebacks go to the terminal.
    on_interrupt = signal.getsignal(signal.SIGINT)
    if callable(on_interrupt):
        on_interrupt(number, frame)
    else:
        raise KeyboardInterrupt


def _quit(number: int, frame: object) -> None:
    # Nothing of Python's own streams, whose locks the interrupted code may hold.
    if os.isatty(1):
        os.write(1, _NO_BAR)
    os.write(2, f"error: {STOPPED}\n".encode())
    os._exit(128 + number)
