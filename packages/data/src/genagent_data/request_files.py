"""Files of requests, as people write them and as GenEval++ is published."""

import json
from collections.abc import Iterator
from pathlib import Path

from genagent_data.geneval import geneval_hints
from genagent_data.request import Request

LISTS = ("requests", "prompts", "data")
"""Keys under which a ``.json`` file's object may hold its requests."""

_KEYS = ("id", "prompt", "task", "hints", "reference")


def read_requests(path: Path) -> list[Request]:
    """Read requests in the order of the file; its suffix, in either case, tells the format.

    - ``.jsonl``, ``.ndjson``: one entry a line.
    - ``.json``: an array of entries, or an object that holds one under a key of ``LISTS``; its
      other keys are not read.
    - anything else: one prompt a line, without the blanks around it.

    An entry is a text, the prompt; or an object with a "prompt" and optional "id", "task", "hints"
    (a list of texts) and "reference"; or a row of GenEval or GenEval++, known by its "include",
    whose "tag" becomes the task (see ``geneval``). An optional key that is null counts as absent.
    Without an id a request is named after the file and its line or, in ``.json``, its place in the
    array.

    Raises:
        ValueError: the file is not UTF-8, an entry is not a request, or two have the same id; the
            message names file and line (in ``.json`` the entry, counted from 1).
        OSError: the path names no file, or the file cannot be read; the message names it.
    """
    requests: list[Request] = []
    places: dict[str, str] = {}
    for number, where, entry in _entries(path):
        try:
            request = _request(entry, default_id=f"{path.stem}-{number}")
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


def _entries(path: Path) -> Iterator[tuple[int, str, object]]:
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
        except json.JSONDecodeError as error:
            raise ValueError(
                f"{where}: not JSON ({error.msg} at column {error.colno}); write one object a line"
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
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path}:{error.lineno}: not JSON ({error.msg} at column {error.colno}); write one "
            "array of requests, or name the file .jsonl if it holds one a line"
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


def _request(entry: object, *, default_id: str) -> Request:
    _refuse_half_characters(entry)
    if isinstance(entry, str):
        return Request(id=default_id, prompt=entry)
    if not isinstance(entry, dict) or not isinstance(entry.get("prompt"), str):
        start = json.dumps(entry, ensure_ascii=False)[:60]
        raise ValueError(f'wants an object with a text "prompt", has {start!r}')
    if "include" in entry:
        task = _name(entry, "tag", default="free")
        hints = geneval_hints(entry)
        return Request(id=default_id, prompt=entry["prompt"], task=task, hints=hints)
    for key in entry:
        if key not in _KEYS:
            raise ValueError(f"unknown key {key!r}; known: {', '.join(_KEYS)}")
    reference = entry.get("reference")
    if reference is not None and not isinstance(reference, str):
        raise ValueError(f'"reference" wants the path of a picture, has {reference!r}')
    return Request(
        id=_name(entry, "id", default=default_id),
        prompt=entry["prompt"],
        task=_name(entry, "task", default="free"),
        hints=_hints(entry),
        reference=reference,
    )


def _name(entry: dict, key: str, *, default: str) -> str:
    value = entry.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise ValueError(f'"{key}" wants a text or a whole number, has {value!r}')
    return str(value)


def _hints(entry: dict) -> tuple[str, ...]:
    hints = entry.get("hints")
    if hints is None:
        return ()
    # A blank line on a judge's checklist would hold for every picture.
    if not isinstance(hints, list) or not all(isinstance(h, str) and h.strip() for h in hints):
        raise ValueError(f'"hints" wants a list of texts, none of them blank, has {hints!r}')
    return tuple(hints)


def _refuse_half_characters(entry: object) -> None:
    # JSON can escape half a surrogate pair. No UTF-8 file can hold it, so that the trajectories
    # of a whole run would fail to be written.
    try:
        json.dumps(entry, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"holds {error.object[error.start]!r}, half of a surrogate pair; "
            "write the character itself"
        ) from error
