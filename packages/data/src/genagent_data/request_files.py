"""Files of requests, as people write them and as benchmarks and data sets are published."""

import errno
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from genagent_data.jsonl import write_jsonl
from genagent_data.reference_pictures import PictureFolder
from genagent_data.request import Request
from genagent_data.request_rows import request_of

LISTS = ("requests", "prompts", "data")
"""Keys under which a ``.json`` file's object may hold its requests."""
IMAGES = "images"
"""Folder beside a file of Echo-4o-Image that holds its pictures."""


def read_requests(path: Path) -> list[Request]:
    """Read requests in the order of the file; its suffix, in either case, tells the format.

    - ``.jsonl``, ``.ndjson``: one entry a line.
    - ``.json``: an array of entries, or an object that holds one under a key of ``LISTS``; its
      other keys are not read.
    - anything else: one prompt a line, without the blanks around it.

    An entry is a text, the prompt; or an object with a "prompt" and optional "id", "task", "hints"
    (a list of texts) and "reference"; or a row of GenEval++, WISE, Imagine or Echo-4o-Image, whose
    tag, category or type becomes the task and whose conditions, explanation or note become the
    hints (see ``request_rows``). An optional key that is null counts as absent. Without an id a
    request is named after the file and its line or, in ``.json``, its place in the array.

    A folder stands for the one ``.jsonl`` file beside its ``images/``, as Echo-4o-Image is
    published. Its rows refer to pictures anywhere under ``images/``, by basename; one that is not
    there, for instance because it is still in ``images/*.tar.gz``, is referred to all the same,
    under the path it would have (``reference_pictures`` unpacks and checks).

    Raises:
        ValueError: the file is not UTF-8, an entry is not a request, or two have the same id; the
            message names file and line (in ``.json`` the entry, counted from 1).
        OSError: the path names no file, or the file cannot be read; the message names it.
    """
    path = _file(path)
    pictures = PictureFolder(path.parent / IMAGES)
    requests: list[Request] = []
    places: dict[str, str] = {}
    for number, where, entry in entries(path):
        try:
            default_id = f"{path.stem}-{number}"
            request = request_of(entry, default_id=default_id, picture=pictures.path)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
        if request.id in places:
            raise ValueError(
                f"{where}: id {request.id!r} is taken by {places[request.id]}; "
                "give each request its own"
            )
        places[request.id] = where
        requests.append(request)
    if not requests:
        raise ValueError(f"{path}: holds no request; write at least one prompt")
    return requests


def write_requests(path: Path, requests: Iterable[Request]) -> None:
    """Write a ``.jsonl`` file that ``read_requests`` reads as the same requests, references by the
    path that they have. Raises OSError where it cannot."""
    write_jsonl(path, map(asdict, requests))


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    files = sorted(path.glob("*.jsonl")) if (path / IMAGES).is_dir() else []
    if len(files) != 1:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    return files[0]


def entries(path: Path) -> Iterator[tuple[int, str, object]]:
    """Number, place in words, and content of each entry."""
    text = _text(path)
    suffix = path.suffix.lower()
    if suffix == ".json":
        for number, entry in enumerate(_array(text, path), start=1):
            yield number, f"{path}: entry {number}", entry
        return
    # str.splitlines would also split at U+2028 and its like, which JSON allows within a text.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        if suffix not in (".jsonl", ".ndjson"):
            yield number, where, line.strip()
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"{where}: not JSON ({_why(error)}); write one object a line"
            ) from error
        yield number, where, entry


def _text(path: Path) -> str:
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{path}:{line}: byte {error.start} of the file (0x{raw[error.start]:02x}) is not "
            "UTF-8; save the file as UTF-8"
        ) from error
    return text.removeprefix("\ufeff")


def _array(text: str, path: Path) -> list:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        line = f":{error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise ValueError(
            f"{path}{line}: not JSON ({_why(error)}); write one array of requests, or name the "
            "file .jsonl if it holds one a line"
        ) from error
    lists = [key for key in LISTS if key in content] if isinstance(content, dict) else []
    if len(lists) > 1:
        raise ValueError(f'{path}: has both "{lists[0]}" and "{lists[1]}"; keep one of them')
    array = content[lists[0]] if lists else content
    if not isinstance(array, list):
        keys = ", ".join(f'"{key}"' for key in LISTS)
        raise ValueError(
            f"{path}: wants an array of requests, at the top or under one of {keys}; "
            f"has {text.strip()[:60]!r}"
        )
    return array


def _why(error: ValueError | RecursionError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    # A number of thousands of digits is the other ValueError.
    return "nested too deeply" if isinstance(error, RecursionError) else str(error).split(";")[0]
