"""A record as a row of plain values, for our own files and the extra column of other formats."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from genagent_data.protocol import system_message
from genagent_data.record import Record
from genagent_data.record_check import RecordError
from genagent_data.request import Request
from genagent_rewards import Picture

COLUMNS = ("id", "prompt", "task", "hints", "reference", "words", "turns", "pictures")


def record_to_row(record: Record) -> dict[str, Any]:
    """One value a column of ``COLUMNS``; pictures by name."""
    return {
        **request_to_row(record),
        "prompt": record.request.prompt,
        "turns": list(record.turns),
        "pictures": [picture.name for picture in record.pictures],
    }


def record_from_row(row: Mapping[str, Any], picture: Callable[[str], Picture]) -> Record:
    """The record again.

    Args:
        picture: gives the picture of a name.

    Raises:
        RecordError: the row is none of a record, or ``picture`` refuses a name.
    """
    if unknown := [key for key in row if key not in COLUMNS]:
        raise RecordError("no_record", f"unknown key {unknown[0]!r}; known: {', '.join(COLUMNS)}")
    names = _texts(row, "pictures")
    return make_record(
        row,
        prompt=_text(row, "prompt"),
        turns=_texts(row, "turns"),
        pictures=tuple(map(picture, names)),
    )


def request_to_row(record: Record) -> dict[str, Any]:
    """What a conversation does not show of a record."""
    row = asdict(record.request) | {"hints": list(record.request.hints), "words": record.words}
    del row["prompt"]
    return row


def make_record(
    row: Mapping[str, Any],
    *,
    prompt: str,
    turns: tuple[str, ...],
    pictures: tuple[Picture, ...],
) -> Record:
    """A record of what ``request_to_row`` kept and of what a conversation shows.

    Raises:
        RecordError: they are none of a record.
    """
    if len(turns) != len(pictures) + 1:
        raise RecordError(
            "picture_count",
            f"{len(turns)} turns and {len(pictures)} pictures; give one turn more than pictures",
        )
    words, reference = row.get("words"), row.get("reference")
    if words is not None and (not isinstance(words, int) or isinstance(words, bool)):
        raise RecordError("no_record", f'"words" wants a whole number or nothing, has {words!r}')
    try:
        request = Request(
            id=_text(row, "id"),
            prompt=prompt,
            task=_text(row, "task") if "task" in row else "free",
            hints=_texts(row, "hints") if "hints" in row else (),
            reference=None if reference is None else _text(row, "reference"),
        )
    except RecordError:
        raise
    except ValueError as error:
        raise RecordError("no_record", f"{error}; write one") from error
    return Record(request=request, turns=turns, pictures=pictures, words=words)


def request_to_text(record: Record) -> str:
    """``request_to_row`` as JSON in one text, whose type no loader has to guess from its rows."""
    return json.dumps(request_to_row(record), ensure_ascii=False)


def request_from_text(text: object, *, default_id: str) -> dict[str, Any]:
    """What ``request_to_text`` wrote; without it, an id alone.

    Raises:
        RecordError: it is something else.
    """
    if text is None:
        return {"id": default_id}
    try:
        row = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise RecordError(
            "no_record", f'"request" wants an object as JSON in a text, has {str(text)[:60]!r}'
        )
    return row


def words_of(system: object, row: Mapping[str, Any]) -> int | None:
    """The word limit that a system message speaks of; it must be ours. None where there is none.

    Raises:
        RecordError: it is another message than the policy's, or than ``row`` says.
    """
    words = row.get("words")
    if system is None or system == "":
        return words
    if words is None and isinstance(system, str):
        _, found, rest = system.partition("At most ")
        digits = rest.split(" ", 1)[0]
        words = int(digits) if found and digits.isascii() and digits.isdigit() else None
    is_words = words is None or (isinstance(words, int) and words >= 1)
    if not is_words or system != system_message(words=words):
        raise RecordError(
            "system",
            f"the system message {str(system)[:60]!r}… is not the policy's; write "
            "system_message(words=…), or leave it out to have the policy's own",
        )
    return words


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        raise RecordError("no_record", f'"{key}" wants a text, has {value!r}')
    return value


def _texts(row: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = row.get(key)
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise RecordError("no_record", f'"{key}" wants a list of texts, has {str(value)[:60]!r}')
    return tuple(value)
