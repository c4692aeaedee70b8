"""What a crash of the machine must not take: files and names that the disk has, not its cache.

A rename without it may reach the disk before what it names, and leave an empty file after a power
cut.
"""

import os
import sys
from pathlib import Path


def sync_file(path: Path) -> None:
    """Have a file's content on the disk when this returns. Raises OSError."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Have a folder's names on the disk when this returns. Raises OSError."""
    if sys.platform == "win32":  # which opens no folder
        return
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def sync_tree(folder: Path) -> None:
    """Have a folder with all that is in it on the disk when this returns. Raises OSError."""
    for below, _, names in os.walk(folder, topdown=False):
        for name in names:
            sync_file(Path(below) / name)
        sync_folder(Path(below))
