"""Records in LLaMA-Factory's ShareGPT form, the trainer of the paper's cold start.

A row has ``conversations`` of ``from`` and ``value``, ``system``, ``images`` (paths from the
file's folder) and ``request``, which LLaMA-Factory does not read. Its rules: human or observation
at odd and gpt at even positions, else it skips the row; as many images as texts hold ``<image>``.
It looks for its placeholders in every text, and its tokenizer for control tokens, so that a record
that says one in words cannot be written.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from genagent_data.jsonl import write_jsonl
from genagent_data.picture_check import picture_file
from genagent_data.pictures import PictureStore
from genagent_data.protocol import OBSERVATION, system_message
from genagent_data.record import Record
from genagent_data.record_check import Drop, RecordError, check_record, refusing
from genagent_data.record_files import PICTURES, Rows, store_pictures
from genagent_data.record_rows import make_record, request_from_text, request_to_text, words_of
from genagent_data.row_files import numbered_objects
from genagent_data.text_files import write_text

INFO = "dataset_info.json"
_READ_AS_TOKENS = re.compile(r"<(?:image|video|audio)>|<\|[a-z_]+\|>")
_HALVES = ("human", "observation"), ("gpt",)

_SETTINGS = """\
# LLaMA-Factory's settings for this data; add the model and how to train it.
stage: sft
dataset_dir: {folder}
dataset: {name}
template: qwen2_vl  # its turns are the policy's, token for token
cutoff_len: 16384  # 2048, the default, cuts conversations with two large pictures
image_max_pixels: 1048576  # larger pictures are made smaller; the default is 768 * 768
train_on_prompt: false  # the loss is on the agent's turns
mask_history: false  # on all of them, and not on the last alone
"""


def write_sharegpt(
    folder: Path,
    records: Iterable[Record],
    *,
    name: str = "genagent",
    allow_format_errors: bool = False,
    drop: Drop | None = None,
) -> int:
    """Write ``<name>.jsonl``, its pictures, its entry of ``dataset_info.json``, and
    ``<name>.yaml`` with the settings of LLaMA-Factory under which it is what the policy learns.

    Returns:
        How many records were written.

    Raises:
        RecordError: a record is refused; ``drop`` leaves it out instead.
        ValueError: the folder's ``dataset_info.json`` is no such file, or the name is no name.
        OSError: a file cannot be written.
    """
    if not re.fullmatch(r"[\w.-]+", name) or name == Path(INFO).stem:
        raise ValueError(f"{name!r} cannot name a data set; use letters, digits, '_', '-' and '.'")
    folder.mkdir(parents=True, exist_ok=True)
    entries = _entries(folder / INFO)
    store = PictureStore(folder / PICTURES)

    def row(record: Record) -> dict[str, Any]:
        _refuse_tokens(record)
        paths = store_pictures(record, store)
        images = [path.relative_to(folder).as_posix() for path in paths]
        return record_to_sharegpt(record, images=images)

    rows = Rows(records, row, allow_format_errors=allow_format_errors, drop=drop)
    write_jsonl(folder / f"{name}.jsonl", rows)
    columns = {"messages": "conversations", "system": "system", "images": "images"}
    entries[name] = {"file_name": f"{name}.jsonl", "formatting": "sharegpt", "columns": columns}
    write_text(folder / INFO, json.dumps(entries, indent=2, ensure_ascii=False) + "\n")
    write_text(folder / f"{name}.yaml", _SETTINGS.format(folder=json.dumps(str(folder)), name=name))
    return rows.count


def read_sharegpt(
    path: Path, *, allow_format_errors: bool = False, drop: Drop | None = None
) -> Iterator[Record]:
    """The records of a file of JSON lines, or of one JSON array, which is read as a whole.

    Pictures of other files than a store's are decoded here.

    Args:
        path: the file, or a folder whose ``dataset_info.json`` names one.

    Raises:
        RecordError: a record is refused, by file and line (of an array: entry); ``drop`` leaves
            it out instead.
        ValueError: the folder names no file, or several.
        OSError: it cannot be read.
    """
    if path.is_dir():
        path = _only_file(path)
    for number, place, row in numbered_objects(path):
        with refusing(place, drop):
            record = record_from_sharegpt(
                row(), folder=path.parent, default_id=f"{path.stem}-{number}"
            )
            check_record(record, allow_format_errors=allow_format_errors)
            yield record


def record_to_sharegpt(record: Record, *, images: list[str]) -> dict[str, Any]:
    """A row, with these paths for the record's pictures."""
    said = [("human", record.request.prompt)]
    for turn in record.turns:
        said += [("gpt", turn), ("human", OBSERVATION)]
    return {
        "conversations": [{"from": who, "value": text} for who, text in said[:-1]],
        "system": system_message(words=record.words),
        "images": images,
        "request": request_to_text(record),
    }


def record_from_sharegpt(row: dict[str, Any], *, folder: Path, default_id: str) -> Record:
    """The record of a row.

    An observation is a human turn that is ``OBSERVATION``, or an observation ``<image>``, which
    LLaMA-Factory's Qwen templates make the same of.

    Args:
        folder: what the paths of pictures start from.

    Raises:
        RecordError: the row is none of a record.
    """
    messages, images = row.get("conversations"), row.get("images")
    if not isinstance(messages, list) or not messages:
        raise RecordError("no_record", '"conversations" wants a list of turns; write one')
    said = [_said(message, index) for index, message in enumerate(messages, start=1)]
    system = row.get("system")
    if said[0][0] == "system":
        system = said.pop(0)[1]
    for index, (who, _) in enumerate(said):
        if who not in _HALVES[index % 2]:
            raise RecordError(
                "order",
                f"turn {index + 1} is from {who!r}, wants {' or '.join(_HALVES[index % 2])}; calls "
                "of the tool are text of a gpt turn",
            )
    if len(said) % 2:
        raise RecordError("order", "the last turn is not gpt's; end with one of the agent's")
    if not isinstance(images, list | None) or not all(isinstance(one, str) for one in images or ()):
        raise RecordError("no_record", f'"images" wants a list of paths, has {str(images)[:60]!r}')
    marks, paths = sum(text.count("<image>") for _, text in said), images or []
    if marks != len(paths):
        raise RecordError(
            "picture_count",
            f"{len(paths)} images and {marks} marks <image> in the texts; give one for each mark",
        )
    for index, (who, text) in enumerate(said[2::2]):
        wanted = OBSERVATION if who == "human" else "<image>"
        if text != wanted:
            raise RecordError(
                "order",
                f"turn {2 * index + 3} wants {wanted!r} alone, has {text[:60]!r}; the agent is "
                "shown one picture after each call",
            )
    request = request_from_text(row.get("request"), default_id=default_id)
    return make_record(
        request | {"words": words_of(system, request)},
        prompt=said[0][1],
        turns=tuple(text for _, text in said[1::2]),
        pictures=tuple(picture_file(folder / path) for path in paths),
    )


def _said(message: object, number: int) -> tuple[str, str]:
    match message:
        case {"from": str(who), "value": str(text)}:
            return who, text
    raise RecordError(
        "no_record",
        f'turn {number} wants a text "from" and a text "value", has {str(message)[:60]!r}',
    )


def _refuse_tokens(record: Record) -> None:
    for text in (record.request.prompt, *record.turns):
        if found := _READ_AS_TOKENS.search(text):
            raise RecordError(
                "text",
                f"{found[0]} in {text[:60]!r} would be read as more than text by LLaMA-Factory; "
                "say it otherwise, or drop the record",
            )


def _entries(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        entries = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is no JSON ({error}); mend or remove it") from error
    if not isinstance(entries, dict):
        raise ValueError(f"{path} is no object of data sets; mend or remove it")
    return entries


def _only_file(folder: Path) -> Path:
    entries = _entries(folder / INFO)
    names = [
        entry["file_name"]
        for entry in entries.values()
        if isinstance(entry, dict) and isinstance(entry.get("file_name"), str)
    ]
    if len(names) != 1:
        raise ValueError(
            f"{folder / INFO} names {len(names)} files ({', '.join(names)}); name the one to read"
        )
    return folder / names[0]
