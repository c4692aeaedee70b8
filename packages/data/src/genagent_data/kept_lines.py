"""A file of JSON lines that grows while it is worked on, and is read again after any end."""

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from genagent_data.jsonl import read_jsonl

Item = TypeVar("Item")


class KeptLines(Generic[Item]):
    """What the file has, and more of it; threads may share it."""

    def __init__(self, path: Path, read: Callable[[dict[str, Any]], Item]) -> None:
        """
        Raises:
            ValueError: a line is none that ``read`` takes; names file and line number. Half of a
                last line, as a process leaves it that is killed, is cut off.
            OSError: the file cannot be read or written.
        """
        _cut_torn_line(path)
        self.earlier: list[Item] = read_jsonl(path, read) if path.exists() else []
        self._file = path.open("a", encoding="utf-8", newline="\n")
        self._writing = threading.Lock()

    def add(self, row: Mapping[str, Any]) -> None:
        """One more line, which a kill leaves whole. Raises OSError where it cannot be written."""
        with self._writing:
            self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
            self._file.flush()

    def close(self) -> None:
        self._file.close()


def _cut_torn_line(path: Path) -> None:
    if not path.exists():
        return
    with path.open("rb+") as file:
        text = file.read()
        if text and not text.endswith(b"\n"):
            file.truncate(text.rfind(b"\n") + 1)
