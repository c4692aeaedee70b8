"""Records as a Hugging Face data set: conversations in the form TRL trains on, pictures inside.

Columns: ``messages`` (``role``, and ``content`` as parts of ``type`` "text" or "image"),
``images`` (an ``Image`` feature; the n-th belongs to the n-th image part) and ``request``. Needs
the extra ``genagent-data[datasets]``; nothing else of this package imports it.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset, Features, Image, IterableDataset, List, Value, load_dataset

from genagent_data.openai_messages import record_from_openai
from genagent_data.picture_check import decoded_picture, picture_file
from genagent_data.protocol import OBSERVATION, system_message
from genagent_data.record import Record
from genagent_data.record_check import Drop, RecordError, check_record, refusing
from genagent_data.record_files import Rows, accepted, picture_content
from genagent_data.record_rows import request_to_text
from genagent_data.row_files import write_parquet
from genagent_rewards import Picture

FILE = "train.parquet"
FEATURES = Features(
    {
        "messages": List(
            {
                "role": Value("string"),
                "content": List({"type": Value("string"), "text": Value("string")}),
            }
        ),
        "images": List(Image()),
        "request": Value("string"),
    }
)
_ROW_GROUP = 16
"""Rows with their pictures, some 2 MB each at 1024x1024, that are held at a time."""
_BEFORE, _AFTER = OBSERVATION.split("<image>")


def to_dataset(records: Iterable[Record]) -> Dataset:
    """A data set in memory, pictures as PNG; ``write_dataset`` is for more than fit there.

    Raises:
        RecordError: a record is refused.
    """
    rows = map(record_to_example, accepted(records, allow_format_errors=False, drop=None))
    return Dataset(pa.Table.from_pylist(list(rows), schema=FEATURES.arrow_schema))


def from_dataset(
    dataset: Dataset | IterableDataset,
    *,
    allow_format_errors: bool = False,
    drop: Drop | None = None,
) -> Iterator[Record]:
    """The records of a data set; their pictures are decoded here.

    Raises:
        RecordError: a record is refused, by its row, counted from 1; ``drop`` leaves it out
            instead.
        ValueError: a column is missing.
    """
    if missing := {"messages", "images"} - set(dataset.column_names or FEATURES):
        raise ValueError(
            f"the data set has no column {min(missing)!r}; it wants messages and images"
        )
    # As files: decoding is left to us, whose errors name the row.
    for number, row in enumerate(dataset.cast_column("images", List(Image(decode=False))), start=1):
        with refusing(f"row {number}", drop):
            record = record_from_example(dict(row), default_id=f"row-{number}")
            check_record(record, allow_format_errors=allow_format_errors)
            yield record


def write_dataset(
    folder: Path,
    records: Iterable[Record],
    *,
    allow_format_errors: bool = False,
    drop: Drop | None = None,
) -> int:
    """Write ``train.parquet``, which ``datasets.load_dataset(folder)`` reads and the hub shows.

    Returns:
        How many records were written.

    Raises:
        RecordError: a record is refused; ``drop`` leaves it out instead.
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = Rows(records, record_to_example, allow_format_errors=allow_format_errors, drop=drop)
    write_parquet(folder / FILE, rows, FEATURES.arrow_schema, group=_ROW_GROUP)
    return rows.count


def read_dataset(
    folder: Path, *, allow_format_errors: bool = False, drop: Drop | None = None
) -> Iterator[Record]:
    """The records of a folder of Parquet files, streamed. See ``from_dataset``.

    Raises:
        FileNotFoundError: there are none.
    """
    files = sorted(map(str, folder.rglob("*.parquet")))
    if not files:
        raise FileNotFoundError(f"no .parquet file in {folder}; give a folder of a data set")
    dataset = load_dataset("parquet", data_files=files, split="train", streaming=True)
    return from_dataset(dataset, allow_format_errors=allow_format_errors, drop=drop)


def record_to_example(record: Record) -> dict[str, Any]:
    """A row of ``FEATURES``."""
    said = [("system", system_message(words=record.words)), ("user", record.request.prompt)]
    messages = [{"role": role, "content": [_part(text)]} for role, text in said]
    for index, turn in enumerate(record.turns):
        messages.append({"role": "assistant", "content": [_part(turn)]})
        if index < len(record.pictures):
            shown = [_part(_BEFORE), {"type": "image", "text": None}, _part(_AFTER)]
            messages.append({"role": "user", "content": shown})
    return {
        "messages": messages,
        "images": [
            {"bytes": picture_content(picture), "path": f"{picture.name}.png"}
            for picture in record.pictures
        ],
        "request": request_to_text(record),
    }


def record_from_example(row: dict[str, Any], *, default_id: str) -> Record:
    """The record of a row whose images are not decoded: of ``bytes``, or of a ``path`` alone.

    Raises:
        RecordError: the row is none of a record.
    """
    images, messages = row["images"] or [], row["messages"] or []
    count = 0
    addressed = []
    for message in messages:
        parts = []
        for part in message["content"]:
            if part["type"] == "image":
                parts.append({"type": "image", "image": str(count)})
                count += 1
            else:
                parts.append(part)
        addressed.append({"role": message["role"], "content": parts})
    if count != len(images):
        raise RecordError(
            "picture_count", f"{len(images)} images and {count} parts for them; give one for each"
        )
    return record_from_openai(
        {"messages": addressed, "request": row.get("request")},
        picture=lambda number: _picture(images[int(number)], int(number)),
        default_id=default_id,
    )


def _picture(image: dict[str, Any], number: int) -> Picture:
    if image["bytes"] is not None:
        return decoded_picture(image["bytes"], f"image {number + 1}")
    return picture_file(Path(image["path"]))


def _part(text: str) -> dict[str, str | None]:
    return {"type": "text", "text": text}
