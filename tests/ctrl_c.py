"""What a process started here does on Ctrl-C, whatever the shell that runs the tests does."""

import contextlib
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def as_in_a_terminal(*, ignored: bool = False) -> Iterator[None]:
    """Processes started meanwhile get SIGINT, or ignore it.

    A shell's background jobs, and what they start, ignore it. Set here and not between fork and
    exec: Python run there hung in a parent with threads, for as long as it was let (the manual of
    subprocess warns of preexec_fn). A handler of Python's is the default again after exec.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
