"""Files of rows that are read by number or one after the other, and never held as a whole."""

import json
import os
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genagent_data.record_check import RecordError

# pyarrow loads when a file is opened: a command line's --help does without it.
if TYPE_CHECKING:
    import pyarrow as pa

_KEPT_GROUPS = 4


def write_parquet(
    path: Path, rows: Iterable[dict[str, Any]], schema: "pa.Schema", *, group: int
) -> None:
    """A Parquet file in groups of so many rows, of which one is held at a time; whole or not at
    all. Raises OSError where it cannot be written."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = iter(rows)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with pq.ParquetWriter(partial, schema, compression="zstd") as writer:
            while taken := list(islice(rows, group)):
                writer.write_table(pa.Table.from_pylist(taken, schema=schema), row_group_size=group)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


class ParquetRows:
    """Rows of a Parquet file; the row groups looked at last are kept."""

    def __init__(self, path: Path, *, wanted: Sequence[str]) -> None:
        """
        Raises:
            ValueError: it is no Parquet file, or has not the columns wanted.
            OSError: it cannot be read.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._path = path
        try:
            self._metadata: pq.FileMetaData = pq.read_metadata(path)
        except pa.ArrowInvalid as error:
            raise ValueError(
                f"{path} is no whole Parquet file ({error}); write it again"
            ) from error
        names = self._metadata.schema.to_arrow_schema().names
        if missing := [name for name in wanted if name not in names]:
            raise ValueError(f"{path} has no column {missing[0]!r}; it wants {', '.join(wanted)}")
        groups = range(self._metadata.num_row_groups)
        self._ends: list[int] = []
        for group in groups:
            rows = self._metadata.row_group(group).num_rows
            self._ends.append(rows + (self._ends[-1] if self._ends else 0))
        self._kept: OrderedDict[int, list[dict[str, Any]]] = OrderedDict()

    def __len__(self) -> int:
        return self._metadata.num_rows

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_kept": OrderedDict()}

    def get(self, number: int) -> Callable[[], dict[str, Any]]:
        group = bisect_right(self._ends, number)
        kept = self._kept.get(group)
        if kept is None:
            kept = self._group(group)
            self._kept[group] = kept
            while len(self._kept) > _KEPT_GROUPS:
                self._kept.popitem(last=False)
        row = kept[number - self._ends[group]]
        return lambda: row

    def all(self) -> Iterator[Callable[[], dict[str, Any]]]:
        for group in range(len(self._ends)):
            for row in self._group(group):
                yield lambda row=row: row

    def _group(self, group: int) -> list[dict[str, Any]]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        with pq.ParquetFile(self._path, metadata=self._metadata) as file:
            try:
                return file.read_row_group(group, use_threads=False).to_pylist()
            except (pa.ArrowInvalid, OSError) as error:
                raise ValueError(
                    f"{self._path}: row group {group + 1} cannot be read ({error}); write it again"
                ) from error


class Lines:
    """Rows of a file of JSON lines, by where each begins."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._starts = array("Q", [0])
        with path.open("rb") as file:
            for line in file:
                self._starts.append(self._starts[-1] + len(line))

    def __len__(self) -> int:
        return len(self._starts) - 1

    def get(self, number: int) -> Callable[[], dict[str, Any]]:
        with self._path.open("rb") as file:
            file.seek(self._starts[number])
            line = file.read(self._starts[number + 1] - self._starts[number])
        return lambda: json_object(line)

    def all(self) -> Iterator[Callable[[], dict[str, Any]]]:
        with self._path.open("rb") as file:
            for line in file:
                yield lambda line=line: json_object(line)


def json_object(line: bytes) -> dict[str, Any]:
    """Raises RecordError where a line is no JSON object."""
    try:
        row = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise RecordError("no_record", f"not JSON ({error}); write one object a line") from error
    return _object(row)


def _object(row: object) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise RecordError("no_record", f"a {type(row).__name__} and no object; write an object")
    return row


def numbered_objects(path: Path) -> Iterator[tuple[int, str, Callable[[], dict[str, Any]]]]:
    """Number, place in words and reader of each line, or of each entry of a ``.json`` array.

    Raises:
        ValueError: a ``.json`` file holds no array.
        OSError: the file cannot be read.
    """
    if path.suffix.lower() == ".json":
        try:
            entries = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"{path} is no JSON ({error}); name it .jsonl if it holds an object a line"
            ) from error
        if not isinstance(entries, list):
            raise ValueError(f"{path} wants an array of records, has a {type(entries).__name__}")
        for number, entry in enumerate(entries, start=1):
            yield number, f"{path}: entry {number}", lambda entry=entry: _object(entry)
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():  # a seam of files that were joined
                yield number, f"{path}:{number}", lambda line=line: json_object(line)
