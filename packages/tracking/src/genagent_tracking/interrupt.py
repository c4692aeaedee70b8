"""Ctrl-C before anything has begun: one line and exit code 130, in the middle of an import too.

As an exception it would be a page of traceback there, or be lost: Python's imports run callbacks
that swallow what is raised in them.
"""

import os
import signal

STOPPED = "stopped before anything had begun"
EXIT_CODE = 130
"""What a shell makes of a process that Ctrl-C has ended."""
_NO_BAR = b"\r\x1b[2K\x1b[?25h"
"""Takes the line of a bar away and shows the cursor, which it had hidden."""


def quit_on_interrupt() -> None:
    """From here on Ctrl-C ends the process at once. Where it is ignored, as by what a shell runs
    in the background, it stays so."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _quit)


def raise_on_interrupt() -> None:
    """From here on Ctrl-C is a ``KeyboardInterrupt`` again: there is something to clean up."""
    if signal.getsignal(signal.SIGINT) is _quit:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _quit(number: int, frame: object) -> None:
    # Nothing of Python's own streams, whose locks the interrupted code may hold.
    if os.isatty(1):
        os.write(1, _NO_BAR)
    os.write(2, f"error: {STOPPED}\n".encode())
    os._exit(EXIT_CODE)
