"""Files of one JSON object a line, written whole and read with the number of a bad line."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from genagent_data.durable import sync_file, sync_folder

Item = TypeVar("Item")


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write one object a line, whole or not at all. Raises OSError where it cannot."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            for row in rows:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        sync_file(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.parent)


def read_jsonl(path: Path, read: Callable[[dict[str, Any]], Item]) -> list[Item]:
    """What ``read`` makes of each line.

    Raises:
        ValueError: a line is no JSON object, or ``read`` refuses it; names file and line number.
        OSError: the file cannot be read.
    """
    items = []
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line.decode())
                if not isinstance(row, dict):
                    raise ValueError(f"a {type(row).__name__} and no object")
                items.append(read(row))
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{path}:{number}: {error}") from error
    return items
