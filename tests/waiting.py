"""Waiting for what another thread or process does."""

import time
from collections.abc import Callable


def until(condition: Callable[[], object]) -> None:
    """Wait until it holds; the bound is for what never comes true, and no machine's speed."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "did not come true within 120 s"
        time.sleep(0.01)
