"""Requests in the forms in which benchmarks and data sets are published."""

import json
import re
from pathlib import Path

import pytest

from genagent_data import Request, read_requests

WISE = {
    "Prompt": "The fruit of an oak",
    "Explanation": "This refers to acorns",
    "Category": "Biology",
    "Subcategory": "State",
    "prompt_id": 641,
}
IMAGINE = {"id": 3, "instruction": "A cubic sun.", "note": "A sun, yet a cube", "type": "SHAPE"}
ECHO = {
    "task_type": "t2i",
    "instruction": "a sun of ice",
    "output_image": "/Echo-4o-Image/Surrel-Fantasy-Image/images/00000.jpg",
    "type": "T1",
}


def write_rows(path: Path, *rows: dict) -> Path:
    lines = [json.dumps(row) for row in rows]
    path.write_text(f"[{','.join(lines)}]" if path.suffix == ".json" else "\n".join(lines))
    return path


def without(row: dict, *keys: str) -> dict:
    return {key: value for key, value in row.items() if key not in keys}


def test_wise_has_its_explanation_as_hint(tmp_path):
    path = write_rows(tmp_path / "wise.json", WISE, without(WISE, "prompt_id", "Category"))
    assert read_requests(path) == [
        Request(
            id="641",
            prompt="The fruit of an oak",
            task="Biology",
            hints=("This refers to acorns",),
        ),
        Request(id="wise-2", prompt="The fruit of an oak", hints=("This refers to acorns",)),
    ]


def test_imagine_has_its_note_as_hint_where_there_is_one(tmp_path):
    path = write_rows(tmp_path / "imagine.jsonl", IMAGINE, without(IMAGINE, "note") | {"id": 4})
    assert read_requests(path) == [
        Request(id="3", prompt="A cubic sun.", task="SHAPE", hints=("A sun, yet a cube",)),
        Request(id="4", prompt="A cubic sun.", task="SHAPE"),
    ]


def test_echo_refers_to_pictures_by_their_basename(tmp_path):
    images = tmp_path / "images"
    (images / "0-5000").mkdir(parents=True)
    (images / "0-5000" / "00000.jpg").touch()
    there = ECHO | {"more": "is not read"}
    missing = ECHO | {"output_image": "/x/00001.jpg"}
    path = write_rows(tmp_path / "conflict.jsonl", there, missing)
    expected = [
        Request(
            id="conflict-1",
            prompt="a sun of ice",
            task="T1",
            reference=str(images / "0-5000" / "00000.jpg"),
        ),
        Request(
            id="conflict-2",
            prompt="a sun of ice",
            task="T1",
            reference=str(images / "00001.jpg"),
        ),
    ]
    assert read_requests(path) == expected
    assert read_requests(tmp_path) == expected


def test_a_folder_with_two_files_is_none(tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("a.jsonl", "b.jsonl"):
        write_rows(tmp_path / name, ECHO)
    with pytest.raises(IsADirectoryError, match=re.escape(str(tmp_path))):
        read_requests(tmp_path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (WISE | {"Prompt": 3}, '"Prompt" wants a text, has 3'),
        (WISE | {"Explanation": " "}, "\"Explanation\" wants a text, has ' '"),
        (WISE | {"Hint": "x"}, "unknown key 'Hint'; known: Prompt, Explanation, Category"),
        (WISE | {"prompt_id": True}, '"prompt_id" wants a text or a whole number, has True'),
        (without(WISE, "Explanation"), 'wants an object with a text "prompt"'),
        (IMAGINE | {"instruction": None}, '"instruction" wants a text, has None'),
        (IMAGINE | {"note": 1}, '"note" wants a text, has 1'),
        (IMAGINE | {"notes": "x"}, "unknown key 'notes'; known: id, instruction, type, note"),
        (ECHO | {"task_type": "multi"}, "\"task_type\" is 'multi'; of Echo-4o-Image only rows"),
        (ECHO | {"output_image": "/a/"}, "\"output_image\" names no file: '/a/'"),
        (ECHO | {"output_image": ["a.jpg"]}, "\"output_image\" wants a text, has ['a.jpg']"),
        (without(ECHO, "instruction"), '"instruction" wants a text, has None'),
    ],
)
def test_a_row_that_is_broken_is_named(tmp_path, row, message):
    path = write_rows(tmp_path / "rows.jsonl", {"prompt": "fine"}, row)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{path}:2: {message}')}"):
        read_requests(path)
