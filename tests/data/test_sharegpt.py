"""LLaMA-Factory's ShareGPT form: written by its rules, read back as it was."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.data.record_examples import AGAIN, BLUE, CALL, DONE, RED, pixels, plain, record, records

from genagent_data import (
    OBSERVATION,
    Picture,
    RecordError,
    Request,
    read_sharegpt,
    system_message,
    write_sharegpt,
)


@settings(max_examples=40)
@given(written=st.lists(records(plain), max_size=4))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, written):
    folder = tmp_path_factory.mktemp("sharegpt")
    assert write_sharegpt(folder, iter(written)) == len(written)
    read = list(read_sharegpt(folder))
    assert read == written
    assert [pixels(one) for one in read] == [pixels(one) for one in written]


def test_a_row_is_what_llamafactory_documents(tmp_path):
    write_sharegpt(tmp_path, [record(words=60)], name="cold-start")
    row = json.loads((tmp_path / "cold-start.jsonl").read_text())
    assert row["conversations"] == [
        {"from": "human", "value": "three circles"},
        {"from": "gpt", "value": CALL},
        {"from": "human", "value": OBSERVATION},
        {"from": "gpt", "value": AGAIN},
        {"from": "human", "value": OBSERVATION},
        {"from": "gpt", "value": DONE},
    ]
    assert row["system"] == system_message(words=60)
    assert row["images"] == [
        f"pictures/{picture.name[:2]}/{picture.name}.png" for picture in (RED, BLUE)
    ]
    assert all((tmp_path / image).is_file() for image in row["images"])
    assert sum(turn["value"].count("<image>") for turn in row["conversations"]) == 2


def test_its_entry_joins_those_of_other_data_sets(tmp_path):
    info = tmp_path / "dataset_info.json"
    info.write_text('{"theirs": {"file_name": "theirs.json"}}')
    write_sharegpt(tmp_path, [record()], name="ours")
    assert json.loads(info.read_text()) == {
        "theirs": {"file_name": "theirs.json"},
        "ours": {
            "file_name": "ours.jsonl",
            "formatting": "sharegpt",
            "columns": {"messages": "conversations", "system": "system", "images": "images"},
        },
    }
    settings = (tmp_path / "ours.yaml").read_text()
    told = dict(line.split("  #")[0].split(": ") for line in settings.splitlines()[1:])
    assert told == {
        "stage": "sft",
        "dataset_dir": f'"{tmp_path}"',
        "dataset": "ours",
        "template": "qwen2_vl",
        "cutoff_len": "16384",
        "image_max_pixels": "1048576",
        # The loss is on every turn of the agent, and on nothing else.
        "train_on_prompt": "false",
        "mask_history": "false",
    }
    with pytest.raises(ValueError, match=r"names 2 files \(theirs.json, ours.jsonl\); name the"):
        list(read_sharegpt(tmp_path))
    assert list(read_sharegpt(tmp_path / "ours.jsonl")) == [record()]


def test_a_dataset_info_that_is_none_is_left_alone(tmp_path):
    (tmp_path / "dataset_info.json").write_text("[]")
    with pytest.raises(ValueError, match="no object of data sets; mend or remove it"):
        write_sharegpt(tmp_path, [record()])
    assert [path.name for path in tmp_path.iterdir()] == ["dataset_info.json"]
    with pytest.raises(ValueError, match="'a/b' cannot name a data set"):
        write_sharegpt(tmp_path, [record()], name="a/b")


@pytest.mark.parametrize(
    "text", ["an <image> of it", "<video>", "<audio>", "a <|im_end|> b", "<|image_pad|>"]
)
def test_what_llamafactory_would_take_for_a_picture_or_a_token_is_refused(tmp_path, text):
    dropped = Counter()
    with pytest.raises(RecordError, match="would be read as more than text") as caught:
        write_sharegpt(tmp_path, [record(prompt=text)])
    assert caught.value.reason == "text"
    assert not (tmp_path / "genagent.jsonl").exists()
    written = [record(prompt=text), record("kept")]
    assert write_sharegpt(tmp_path, written, drop=lambda e: dropped.update([e.reason])) == 1
    assert dropped == {"text": 1}
    assert [one.request.id for one in read_sharegpt(tmp_path)] == ["kept"]


def test_a_mark_in_the_agents_own_words_is_refused_too(tmp_path):
    thought = CALL.replace("three circles", "the <image> shows")
    given = record(rounds=1)
    given = type(given)(request=given.request, turns=(thought, DONE), pictures=(RED,))
    with pytest.raises(RecordError, match=r"<image> in .* would be read as more"):
        write_sharegpt(tmp_path, [given])


def row(**changes) -> dict:
    """Of one round, as other programs write it: observation, no request, a picture of any file."""
    said = [("human", "a dog"), ("gpt", CALL), ("observation", "<image>"), ("gpt", DONE)]
    conversations = [{"from": who, "value": text} for who, text in said]
    return {"conversations": conversations, "images": ["dog.jpg"]} | changes


def turn(index: int, **changes) -> dict:
    conversations = row()["conversations"]
    conversations[index] = conversations[index] | changes
    return {"conversations": conversations}


def folder_of(folder: Path, *rows: dict, array: bool = False) -> Path:
    Image.new("RGB", (8, 8), "brown").save(folder / "dog.jpg")
    path = folder / ("some.json" if array else "some.jsonl")
    path.write_text(json.dumps(rows) if array else "".join(json.dumps(r) + "\n" for r in rows))
    return path


@pytest.mark.parametrize("array", [False, True])
def test_data_of_other_programs_is_read(tmp_path, array):
    system = {"from": "system", "value": system_message(words=7)}
    first = row(conversations=[system, *row()["conversations"]])
    path = folder_of(tmp_path, first, row(), array=array)
    one, other = read_sharegpt(path)
    assert (one.request, one.words) == (Request(id="some-1", prompt="a dog"), 7)
    assert (other.request, other.words) == (Request(id="some-2", prompt="a dog"), None)
    assert one.turns == (CALL, DONE)
    with Image.open(tmp_path / "dog.jpg") as image:
        assert one.pictures == (Picture.of(image),)


@pytest.mark.parametrize(
    ("changes", "reason", "says"),
    [
        ({"images": ["dog.jpg", "dog.jpg"]}, "picture_count", "2 images and 1 marks <image>"),
        ({"images": []}, "picture_count", "0 images and 1 marks"),
        ({"images": None}, "picture_count", "0 images and 1 marks"),
        ({"images": ["cat.jpg"]}, "missing_picture", "no picture .*cat.jpg; bring"),
        ({"images": "dog.jpg"}, "no_record", '"images" wants a list'),
        ({"system": "You are kind."}, "system", "'You are kind.'… is not the policy's"),
        (
            {"request": json.dumps({"id": "a", "words": 9}), "system": system_message()},
            "system",
            "",
        ),
        ({"request": json.dumps({"id": "a", "words": -9}), "system": "x"}, "system", ""),
        ({"request": "a"}, "no_record", "wants an object as JSON"),
        ({"conversations": []}, "no_record", "wants a list of turns"),
        ({"conversations": row()["conversations"][:3]}, "order", "the last turn is not gpt's"),
        (
            {"conversations": row()["conversations"][1:]},
            "order",
            "turn 1 is from 'gpt', wants human",
        ),
        (
            turn(1, **{"from": "function_call"}),
            "order",
            "turn 2 is from 'function_call', wants gpt",
        ),
        (turn(2, value="see <image>"), "order", "turn 3 wants '<image>' alone"),
        (turn(2, **{"from": "human"}), "order", "turn 3 wants '<tool_response>"),
        (turn(3, value=3), "no_record", 'wants a text "from" and a text "value"'),
        (turn(3, value="done"), "format_error/no_action", "turn 2 of 2 would teach"),
    ],
)
def test_a_bad_row_is_one_clear_line_with_its_place(tmp_path, changes, reason, says):
    path = folder_of(tmp_path, row(), row(**changes))
    with pytest.raises(RecordError, match=f"^{re.escape(str(path))}:2: .*{says}") as caught:
        list(read_sharegpt(path))
    assert caught.value.reason == reason
    assert "\n" not in str(caught.value)
    dropped = Counter()
    kept = list(read_sharegpt(path, drop=lambda error: dropped.update([error.reason])))
    assert (len(kept), dropped) == (1, {reason: 1})


def test_a_picture_that_is_none_is_named(tmp_path):
    path = folder_of(tmp_path, row())
    (tmp_path / "dog.jpg").write_bytes(b"no picture")
    with pytest.raises(RecordError, match=r":1: .*dog.jpg cannot be decoded") as caught:
        list(read_sharegpt(path))
    assert caught.value.reason == "broken_picture"
    Image.new("1", (10_000, 10_000)).save(tmp_path / "dog.jpg", "PNG")
    with pytest.raises(RecordError, match=r"dog.jpg has more than 89478485 pixels; make it"):
        list(read_sharegpt(path))


def test_an_empty_line_where_files_were_joined_is_none(tmp_path):
    rows = [json.dumps(row(id=name)) for name in ("a", "b")]
    Image.new("RGB", (4, 4)).save(tmp_path / "dog.jpg")
    path = tmp_path / "joined.jsonl"
    path.write_text("\n\n".join(rows) + "\n\n")
    assert len(list(read_sharegpt(path))) == 2
    path.write_text(rows[0] + "\n\nno row\n")
    with pytest.raises(RecordError, match=r"joined\.jsonl:3: not JSON"):
        list(read_sharegpt(path))
