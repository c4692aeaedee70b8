"""A disk of its own that a test can fill and enlarge, where mounting is allowed."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, kib: int) -> Iterator[Callable[[int], None]]:
    """``folder`` becomes a disk of so many KiB inside; gives what makes it larger."""
    folder.mkdir(exist_ok=True)
    _or_skip(["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(folder)])
    try:
        yield lambda more: _or_skip(["mount", "-o", f"remount,size={more}k", str(folder)])
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _or_skip(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError as error:
        pytest.skip(f"no disk of its own: {error}")
    if done.returncode:
        pytest.skip(f"no disk of its own: {done.stderr.strip()}")
