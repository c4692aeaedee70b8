"""One entry of a file as a request: our own form, and the forms that are published.

A row of GenEval or GenEval++ is known by its "include" (see ``geneval``), one of WISE
(arXiv 2503.07265) by its "Prompt" and "Explanation", one of Imagine (Echo-4o, arXiv 2508.09987) by
its "instruction", and one of Echo-4o-Image by its "output_image".
"""

import json
from collections.abc import Callable, Sequence

from genagent_data.geneval import geneval_hints
from genagent_data.request import Request

_OWN_KEYS = ("id", "prompt", "task", "hints", "reference")
_WISE_KEYS = ("Prompt", "Explanation", "Category", "Subcategory", "prompt_id")
_IMAGINE_KEYS = ("id", "instruction", "type", "note")


def request_of(entry: object, *, default_id: str, picture: Callable[[str], str]) -> Request:
    """The request that an entry is.

    Args:
        default_id: for an entry without one.
        picture: the path of a row's picture, by the last part of the name it has in the row.

    Raises:
        ValueError: the entry has none of the forms; the message says what is wrong with it.
    """
    _refuse_half_characters(entry)
    if isinstance(entry, str):
        return Request(id=default_id, prompt=entry)
    if isinstance(entry, dict):
        if "Prompt" in entry and "Explanation" in entry:
            return _wise(entry, default_id)
        if "output_image" in entry:
            return _echo(entry, default_id, picture)
        if "instruction" in entry and "prompt" not in entry:
            return _imagine(entry, default_id)
        if isinstance(entry.get("prompt"), str):
            return _geneval(entry, default_id) if "include" in entry else _own(entry, default_id)
    start = json.dumps(entry, ensure_ascii=False)[:60]
    raise ValueError(f'wants an object with a text "prompt", has {start!r}')


def _own(entry: dict, default_id: str) -> Request:
    _refuse_unknown(entry, _OWN_KEYS)
    reference = entry.get("reference")
    if reference is not None and not isinstance(reference, str):
        raise ValueError(f'"reference" wants the path of a picture, has {reference!r:.80}')
    return Request(
        id=_name(entry, "id", default=default_id),
        prompt=entry["prompt"],
        task=_name(entry, "task", default="free"),
        hints=_hints(entry),
        reference=reference,
    )


def _geneval(row: dict, default_id: str) -> Request:
    task = _name(row, "tag", default="free")
    return Request(id=default_id, prompt=row["prompt"], task=task, hints=geneval_hints(row))


def _wise(row: dict, default_id: str) -> Request:
    _refuse_unknown(row, _WISE_KEYS)
    return Request(
        id=_name(row, "prompt_id", default=default_id),
        prompt=_words(row, "Prompt"),
        task=_name(row, "Category", default="free"),
        hints=(_words(row, "Explanation"),),
    )


def _imagine(row: dict, default_id: str) -> Request:
    _refuse_unknown(row, _IMAGINE_KEYS)
    return Request(
        id=_name(row, "id", default=default_id),
        prompt=_words(row, "instruction"),
        task=_name(row, "type", default="free"),
        hints=() if row.get("note") is None else (_words(row, "note"),),
    )


def _echo(row: dict, default_id: str, picture: Callable[[str], str]) -> Request:
    if row.get("task_type") != "t2i":
        raise ValueError(
            f'"task_type" is {row.get("task_type")!r:.80}; of Echo-4o-Image only rows from text to '
            'image ("t2i") are read'
        )
    name = _words(row, "output_image").rsplit("/", 1)[-1]
    if not name:
        raise ValueError(f'"output_image" names no file: {row["output_image"]!r:.80}')
    return Request(
        id=default_id,
        prompt=_words(row, "instruction"),
        task=_name(row, "type", default="free"),
        reference=picture(name),
    )


def _words(entry: dict, key: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f'"{key}" wants a text, has {value!r:.80}')
    return value


def _name(entry: dict, key: str, *, default: str) -> str:
    value = entry.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise ValueError(f'"{key}" wants a text or a whole number, has {value!r:.80}')
    return str(value)


def _hints(entry: dict) -> tuple[str, ...]:
    hints = entry.get("hints")
    if hints is None:
        return ()
    # A blank line on a judge's checklist would hold for every picture.
    if not isinstance(hints, list) or not all(isinstance(h, str) and h.strip() for h in hints):
        raise ValueError(f'"hints" wants a list of texts, none of them blank, has {hints!r:.80}')
    return tuple(hints)


def _refuse_unknown(entry: dict, known: Sequence[str]) -> None:
    for key in entry:
        if key not in known:
            raise ValueError(f"unknown key {key!r:.80}; known: {', '.join(known)}")


def _refuse_half_characters(entry: object) -> None:
    # JSON can escape half a surrogate pair. No UTF-8 file can hold it, so that the trajectories
    # of a whole run would fail to be written.
    try:
        json.dumps(entry, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error
    except UnicodeEncodeError as error:
        raise ValueError(
            f"holds {error.object[error.start]!r}, half of a surrogate pair; "
            "write the character itself"
        ) from error
