"""Records in a folder: ``records.jsonl`` and ``pictures/``."""

from pathlib import Path
from typing import Any

from genagent_data import PictureStore, Record, Request, read_jsonl


def read_records(folder: Path) -> list[Record]:
    """All records, their pictures' pixels still on disk.

    Raises:
        ValueError: a line is no record; names file and line number.
        OSError: a file cannot be read, or a picture is not there.
    """
    store = PictureStore(folder / "pictures")

    def record(row: dict[str, Any]) -> Record:
        try:
            request = row["request"]
            return Record(
                request=Request(**request | {"hints": tuple(request["hints"])}),
                turns=tuple(row["turns"]),
                pictures=tuple(store.get(name) for name in row["pictures"]),
                words=row["words"],
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a record ({error})") from error

    return read_jsonl(folder / "records.jsonl", record)
