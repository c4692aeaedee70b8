"""Records as OpenAI chat messages, a conversation a line.

``{"messages": [{"role", "content"}, …], "request": "…"}``. A picture is an ``image_url`` part of
the user's message that shows it; calls of the tool are text in the assistant's, to the letter, as
the policy says them, and never ``tool_calls``. Texts may say ``<image>``: pictures are parts.
"""

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from genagent_data.jsonl import write_jsonl
from genagent_data.picture_check import decoded_picture, picture_file
from genagent_data.pictures import PictureStore
from genagent_data.protocol import OBSERVATION, system_message
from genagent_data.record import Record
from genagent_data.record_check import Drop, RecordError, check_record, refusing
from genagent_data.record_files import PICTURES, Rows, picture_content, store_pictures
from genagent_data.record_rows import make_record, request_from_text, request_to_text, words_of
from genagent_data.row_files import numbered_objects
from genagent_rewards import Picture

FILE = "messages.jsonl"
_BEFORE, _AFTER = OBSERVATION.split("<image>")
_DATA = "data:image/png;base64,"


def write_openai(
    folder: Path,
    records: Iterable[Record],
    *,
    embed: bool = False,
    allow_format_errors: bool = False,
    drop: Drop | None = None,
) -> int:
    """Write ``messages.jsonl``.

    Args:
        embed: pictures as data URLs in the file, instead of paths in ``pictures/`` beside it.

    Returns:
        How many records were written.

    Raises:
        RecordError: a record is refused; ``drop`` leaves it out instead.
        OSError: a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    store = PictureStore(folder / PICTURES)

    def row(record: Record) -> dict[str, Any]:
        if embed:
            urls = [_data_url(picture) for picture in record.pictures]
        else:
            paths = store_pictures(record, store)
            urls = [path.relative_to(folder).as_posix() for path in paths]
        return record_to_openai(record, urls=urls)

    rows = Rows(records, row, allow_format_errors=allow_format_errors, drop=drop)
    write_jsonl(folder / FILE, rows)
    return rows.count


def read_openai(
    path: Path, *, allow_format_errors: bool = False, drop: Drop | None = None
) -> Iterator[Record]:
    """The records of a file of JSON lines, or of one JSON array, which is read as a whole.

    Args:
        path: the file, or the folder of ``messages.jsonl``.

    Raises:
        RecordError: a record is refused, by file and line (of an array: entry); ``drop`` leaves
            it out instead.
        OSError: it cannot be read.
    """
    if path.is_dir():
        path = path / FILE
    for number, place, row in numbered_objects(path):
        with refusing(place, drop):
            record = record_from_openai(
                row(),
                picture=lambda url: _picture_at(url, path.parent),
                default_id=f"{path.stem}-{number}",
            )
            check_record(record, allow_format_errors=allow_format_errors)
            yield record


def record_to_openai(record: Record, *, urls: list[str]) -> dict[str, Any]:
    """A row, with these addresses for the record's pictures."""
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": system_message(words=record.words)},
        {"role": "user", "content": record.request.prompt},
    ]
    for turn, url in zip(record.turns, [*urls, None], strict=True):
        messages.append({"role": "assistant", "content": turn})
        if url is not None:
            messages.append({"role": "user", "content": _observation(url)})
    return {"messages": messages, "request": request_to_text(record)}


def record_from_openai(
    row: dict[str, Any], *, picture: Callable[[str], Picture], default_id: str
) -> Record:
    """The record of a row.

    Args:
        picture: gives the picture at an address.

    Raises:
        RecordError: the row is none of a record.
    """
    messages = row.get("messages")
    if not isinstance(messages, list) or not messages:
        raise RecordError("no_record", '"messages" wants a list of messages; write one')
    said = [_said(message, index) for index, message in enumerate(messages, start=1)]
    system = None
    if said[0][0] in ("system", "developer"):
        system = _text(said.pop(0)[1], "the system message")
    for index, (role, _) in enumerate(said):
        wanted = ("user", "assistant")[index % 2]
        # A server of ours would be sent pictures by the user; others let the tool say them.
        if role != wanted and not (role == "tool" and index % 2 == 0 and index):
            raise RecordError(
                "order",
                f"a message is from {role!r} where {wanted!r} should speak; let them take turns",
            )
    if not said or len(said) % 2:
        raise RecordError("order", "the last message is not the assistant's; end with one")
    request = request_from_text(row.get("request"), default_id=default_id)
    addresses = [_address(content) for _, content in said[2::2]]
    return make_record(
        request | {"words": words_of(system, request)},
        prompt=_text(said[0][1], "the first user message"),
        turns=tuple(_text(content, "an assistant message") for _, content in said[1::2]),
        pictures=tuple(map(picture, addresses)),
    )


def _observation(url: str) -> list[dict[str, Any]]:
    return [
        {"type": "text", "text": _BEFORE},
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "text", "text": _AFTER},
    ]


def _said(message: object, number: int) -> tuple[str, object]:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise RecordError(
            "no_record",
            f'message {number} wants a "role" and a "content", has {str(message)[:60]!r}',
        )
    if message.get("tool_calls") or message.get("function_call"):
        raise RecordError(
            "no_record",
            f"message {number} calls a tool by tool_calls; write the call as text, as render_turn "
            "does",
        )
    return message["role"], message.get("content")


def _text(content: object, who: str) -> str:
    match content:
        case str(text) | [{"type": "text", "text": str(text)}]:
            return text
    raise RecordError("no_record", f"{who} wants one text, has {str(content)[:60]!r}")


def _address(content: object) -> str:
    """Where the picture is of an observation, of which every letter must be the policy's."""
    parts = content if isinstance(content, list) else [content]
    texts: list[str] = [""]
    pictures: list[str] = []
    for part in parts:
        match part:
            case {"type": "text", "text": str(text)}:
                texts[-1] += text
            case {"type": "image_url", "image_url": {"url": str(url)} | str(url)}:
                pictures.append(url)
                texts.append("")
            case {"type": "image", "image": str(url)}:
                pictures.append(url)
                texts.append("")
            case _:
                raise RecordError(
                    "no_record",
                    f"a user message has the part {str(part)[:60]!r}; wants text or image_url",
                )
    if len(pictures) != 1:
        raise RecordError(
            "picture_count",
            f"an observation has {len(pictures)} pictures; show one after each call",
        )
    if texts != [_BEFORE, _AFTER] and texts != ["", ""]:
        raise RecordError(
            "no_record",
            f"an observation says {texts!r} around its picture; wants {[_BEFORE, _AFTER]!r}, or "
            "nothing",
        )
    return pictures[0]


def _picture_at(url: str, folder: Path) -> Picture:
    if url.startswith("data:"):
        head, _, content = url.partition(";base64,")
        try:
            decoded = base64.b64decode(content, validate=True)
        except binascii.Error as error:
            raise RecordError(
                "broken_picture", f"{head[:40]};base64,… is no base64 ({error}); write it again"
            ) from error
        return decoded_picture(decoded, f"the picture {head[:40]};base64,…")
    if url.startswith(("http://", "https://")):
        raise RecordError(
            "missing_picture",
            f"picture {url[:80]} is not on this machine; download it and name its path",
        )
    return picture_file(folder / (unquote(urlsplit(url).path) if url.startswith("file:") else url))


def _data_url(picture: Picture) -> str:
    return _DATA + base64.b64encode(picture_content(picture)).decode()
