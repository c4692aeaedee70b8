"""Text files, written whole or not at all."""

import os
from pathlib import Path

from genagent_data.durable import sync_file, sync_folder


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all: it is on the disk when this returns.

    Raises:
        OSError: it cannot be written; what was there before is still there.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        sync_file(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.parent)
