"""Records on disk: ``records.parquet`` or ``records.jsonl``, and ``pictures/`` beside it.

Neither is ever in memory as a whole. A row has a value for each of ``COLUMNS``; its pictures are
names in the ``PictureStore`` of that folder.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from PIL import Image, UnidentifiedImageError

from genagent_data.jsonl import write_jsonl
from genagent_data.picture_check import picture_file, refuse_huge, stored_picture
from genagent_data.pictures import PictureStore, png_bytes
from genagent_data.record import Record
from genagent_data.record_check import Drop, RecordError, check_record, refusing
from genagent_data.record_rows import COLUMNS, record_from_row, record_to_row
from genagent_data.row_files import Lines, ParquetRows, write_parquet
from genagent_rewards import Picture

if TYPE_CHECKING:
    import pyarrow as pa

PICTURES = "pictures"
RecordFormat = Literal["parquet", "jsonl"]
FORMATS = get_args(RecordFormat)
ROW_GROUP = 128
"""Rows that are read to get at one: few enough for a shuffled reader, whose cost they are."""


def write_records(
    folder: Path,
    records: Iterable[Record],
    *,
    format: RecordFormat = "parquet",
    allow_format_errors: bool = False,
    drop: Drop | None = None,
) -> int:
    """Write records as they come, whole or not at all; their pictures go first.

    An earlier file of the same format is replaced at the end. Pictures of a write that did not end
    stay in the store, where the next one finds them.

    Args:
        drop: is told of each record that is refused, which is left out; None raises the first.

    Returns:
        How many were written.

    Raises:
        RecordError: a record would be refused when read.
        ValueError: the folder has records in the other format.
        OSError: it cannot be written.
    """
    for other in FORMATS:
        if other != format and (folder / f"records.{other}").exists():
            raise ValueError(
                f"{folder} holds records.{other} already; remove it or name another folder"
            )
    store = PictureStore(folder / PICTURES)
    folder.mkdir(parents=True, exist_ok=True)

    def row(record: Record) -> dict[str, Any]:
        store_pictures(record, store)
        return record_to_row(record)

    rows = Rows(records, row, allow_format_errors=allow_format_errors, drop=drop)
    if format == "parquet":
        write_parquet(folder / "records.parquet", rows, _schema(), group=ROW_GROUP)
    else:
        write_jsonl(folder / "records.jsonl", rows)
    return rows.count


def read_records(
    folder: Path, *, allow_format_errors: bool = False, drop: Drop | None = None
) -> Iterator[Record]:
    """The records of a folder one after the other, each checked. See ``RecordFolder``."""
    return RecordFolder(folder, allow_format_errors=allow_format_errors).read(drop=drop)


class RecordFolder:
    """The records of a folder by number, from 0, each checked when it is read.

    Processes may share it: a file is opened for each read, and it pickles small.

    Example::

        folder = RecordFolder(Path("data/cold-start"))
        sound = folder.sound(drop=lambda error: dropped.update([error.reason]))
        random.Random(seed).shuffle(sound)
        batch = [folder[index] for index in sound[:256]]
    """

    def __init__(self, folder: Path, *, allow_format_errors: bool = False) -> None:
        """Looks at the file's table of contents alone (of JSON lines: at the ends of lines).

        Args:
            allow_format_errors: let turns pass that teach a format error.

        Raises:
            ValueError: the folder has no records, or both formats, or a file that is no Parquet
                file of records.
            OSError: it cannot be read.
        """
        self.folder = folder
        self.path = _records_file(folder)
        self._allow = allow_format_errors
        if self.path.suffix == ".parquet":
            self._rows = ParquetRows(self.path, wanted=("id", "prompt", "turns", "pictures"))
        else:
            self._rows = Lines(self.path)

    def __len__(self) -> int:
        return len(self._rows)

    def digest(self) -> str:
        """Twelve digits of all that the file says; pictures are in it by content. Raises OSError
        where it cannot be read."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:12]

    def __getitem__(self, index: int) -> Record:
        """
        Raises:
            RecordError: the record is refused; names file and row, counted from 1.
            IndexError: there are not that many.
        """
        number = index + len(self) if index < 0 else index
        if not 0 <= number < len(self):
            raise IndexError(f"no record {index} in {self.path}, which holds {len(self)}")
        try:
            return self._record(self._rows.get(number))
        except RecordError as error:
            raise error.at(self._place(number)) from error

    def __iter__(self) -> Iterator[Record]:
        return self.read()

    def read(self, *, drop: Drop | None = None) -> Iterator[Record]:
        """All, in order.

        Args:
            drop: is told of each record that is refused, which is left out; None raises the first.

        Raises:
            RecordError: see ``__getitem__``.
        """
        for number, row in enumerate(self._rows.all()):
            with refusing(self._place(number), drop):
                yield self._record(row)

    def sound(self, *, drop: Drop) -> list[int]:
        """The numbers of the records that are not refused: what to shuffle and to split."""
        numbers = []
        for number, row in enumerate(self._rows.all()):
            with refusing(self._place(number), drop):
                self._record(row)
                numbers.append(number)
        return numbers

    def _record(self, row: Callable[[], dict[str, Any]]) -> Record:
        record = record_from_row(row(), lambda name: stored_picture(self.folder / PICTURES, name))
        check_record(record, allow_format_errors=self._allow)
        return record

    def _place(self, number: int) -> str:
        separator = ": row " if self.path.suffix == ".parquet" else ":"
        return f"{self.path}{separator}{number + 1}"


def accepted(
    records: Iterable[Record], *, allow_format_errors: bool, drop: Drop | None
) -> Iterator[Record]:
    """The records that ``check_record`` lets pass."""
    for record in records:
        with refusing(f"record {record.request.id!r}", drop):
            check_record(record, allow_format_errors=allow_format_errors)
            yield record


class Rows:
    """Rows of the records that are not refused, to be written as they come."""

    def __init__(
        self,
        records: Iterable[Record],
        row: Callable[[Record], dict[str, Any]],
        *,
        allow_format_errors: bool,
        drop: Drop | None,
    ) -> None:
        """
        Args:
            row: of a record; raises RecordError where there can be none.
        """
        self.count = 0
        """Rows that there have been."""
        self._records = accepted(records, allow_format_errors=allow_format_errors, drop=drop)
        self._row = row
        self._drop = drop

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for record in self._records:
            with refusing(f"record {record.request.id!r}", self._drop):
                row = self._row(record)
                self.count += 1
                yield row


def store_pictures(record: Record, store: PictureStore) -> list[Path]:
    """Where the pictures of a record now are.

    Raises:
        RecordError: one cannot be decoded, is too large, or has other pixels than its name says.
    """
    paths = []
    for picture in record.pictures:
        with _refusing_picture(picture):
            paths.append(store.add(picture))
        stored_picture(store.root, picture.name)
    return paths


def picture_content(picture: Picture) -> bytes:
    """A picture of a record as a PNG file. Raises RecordError as ``store_pictures`` does."""
    with _refusing_picture(picture):
        return png_bytes(picture)


@contextmanager
def _refusing_picture(picture: Picture) -> Iterator[None]:
    if picture.path is not None:
        picture_file(picture.path)
    else:
        refuse_huge(picture.image.size, f"picture {picture.name}")
    try:
        yield
    # Of a file that begins and ends like a picture; what the disk says is no fault of a record.
    except (ValueError, Image.DecompressionBombError, UnidentifiedImageError) as error:
        raise RecordError("broken_picture", f"{error}; draw or copy it again") from error


def _schema() -> "pa.Schema":
    import pyarrow as pa

    types = {"words": pa.int32()} | dict.fromkeys(
        ("hints", "turns", "pictures"), pa.list_(pa.string())
    )
    return pa.schema([(name, types.get(name, pa.string())) for name in COLUMNS])


def _records_file(folder: Path) -> Path:
    found = [path for end in FORMATS if (path := folder / f"records.{end}").is_file()]
    if not found:
        raise ValueError(
            f"{folder} holds no records.parquet and no records.jsonl; name a folder that does"
        )
    if len(found) > 1:
        raise ValueError(
            f"{folder} holds records.parquet and records.jsonl; remove the one that is not meant"
        )
    return found[0]
