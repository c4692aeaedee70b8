"""Records on disk: read back as written, by number and in order, each fault in one clear line."""

import json
import pickle
import re
import struct
import zlib
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.data.record_examples import AGAIN, BLUE, CALL, DONE, RED, pixels, record, records
from tests.hostile.drawn import NO_PALETTE

from genagent_data import (
    Picture,
    PictureStore,
    Record,
    RecordError,
    RecordFolder,
    Request,
    read_records,
    write_openai,
    write_records,
    write_sharegpt,
)

FORMATS = ("parquet", "jsonl")


@settings(max_examples=40)
@pytest.mark.parametrize("format", FORMATS)
@given(written=st.lists(records(), max_size=4))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, format, written):
    folder = tmp_path_factory.mktemp("records")
    assert write_records(folder, iter(written), format=format) == len(written)
    read = list(read_records(folder))
    assert read == written
    assert [pixels(one) for one in read] == [pixels(one) for one in written]


@pytest.mark.parametrize("format", FORMATS)
def test_records_are_read_by_number_in_any_order(tmp_path, format):
    written = [record(f"r{number}", rounds=number % 3 + 1) for number in range(700)]
    write_records(tmp_path, iter(written), format=format)
    folder = RecordFolder(tmp_path)
    assert len(folder) == 700
    order = [699, 0, 127, 128, 129, 511, 512, 3, 640, -1, 255, 256]
    assert [folder[index] for index in order] == [written[index] for index in order]
    assert list(folder) == written
    copy = pickle.loads(pickle.dumps(folder))
    assert copy[300] == written[300]
    with pytest.raises(IndexError, match=r"no record 700 in .* holds 700"):
        folder[700]
    with pytest.raises(IndexError):
        folder[-701]


def test_a_parquet_file_has_row_groups_and_is_written_as_the_records_come(tmp_path):
    written = []

    def come():
        for number in range(300):
            yield record(f"r{number}")
            written.append(sum(path.stat().st_size for path in tmp_path.glob(".*.partial")))

    write_records(tmp_path, come())
    # A whole row group is on disk before the next is begun.
    assert written[0] == written[126] < written[128] == written[254] < written[256]
    groups = pq.read_metadata(tmp_path / "records.parquet")
    rows = [groups.row_group(index).num_rows for index in range(groups.num_row_groups)]
    assert rows == [128, 128, 44]


def test_a_row_of_json_lines_is_what_the_documentation_shows(tmp_path):
    write_records(tmp_path, [record(words=60, rounds=1)], format="jsonl")
    assert json.loads((tmp_path / "records.jsonl").read_text()) == {
        "id": "r1",
        "prompt": "three circles",
        "task": "count",
        "hints": ["3 circles"],
        "reference": None,
        "words": 60,
        "turns": [CALL, DONE],
        "pictures": [RED.name],
    }
    assert PictureStore(tmp_path / "pictures").path(RED.name).is_file()


@pytest.mark.parametrize("format", FORMATS)
def test_a_write_that_breaks_leaves_what_was_there(tmp_path, format):
    write_records(tmp_path, [record("before")], format=format)

    def breaking():
        yield from (record(f"after{number}") for number in range(200))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_records(tmp_path, breaking(), format=format)
    assert [one.request.id for one in read_records(tmp_path)] == ["before"]
    assert {path.name for path in tmp_path.iterdir()} == {f"records.{format}", "pictures"}


def test_the_other_format_is_not_left_beside(tmp_path):
    write_records(tmp_path, [record()], format="jsonl")
    with pytest.raises(ValueError, match=r"holds records\.jsonl already; remove it"):
        write_records(tmp_path, [record()])
    (tmp_path / "records.parquet").write_bytes(b"")
    with pytest.raises(ValueError, match=r"holds records\.parquet and records\.jsonl; remove"):
        RecordFolder(tmp_path)


def test_a_folder_without_records_or_with_something_else_says_so(tmp_path):
    with pytest.raises(ValueError, match=r"holds no records\.parquet and no records\.jsonl"):
        RecordFolder(tmp_path)
    path = tmp_path / "records.parquet"
    path.write_bytes(b"PAR1 but not really")
    with pytest.raises(ValueError, match=r"no whole Parquet file .* write it again"):
        RecordFolder(tmp_path)
    pq.write_table(pa.table({"id": ["a"], "prompt": ["b"]}), path)
    with pytest.raises(ValueError, match="has no column 'turns'"):
        RecordFolder(tmp_path)


def bad(turns: tuple[str, ...], prompt: str = "three circles") -> Record:
    pictures = (RED,) * (len(turns) - 1)
    return Record(request=Request(id="bad", prompt=prompt), turns=turns, pictures=pictures)


REFUSED = [
    (bad((CALL, "<answer>done</answer>")), "format_error/missing_judgement", "turn 2 of 2 would"),
    (bad((DONE,)), "format_error/answer_before_picture", "turn 1 of 1 would teach"),
    (bad(("<think>a</think>", DONE)), "format_error/no_action", "mend or drop the record"),
    (bad((CALL, DONE, DONE)), "order", "turn 2 of 3 answers, and yet a picture follows"),
    (bad((CALL, DONE), prompt="half \ud83d"), "text", "half of a surrogate pair"),
]


@pytest.mark.parametrize(("refused", "reason", "says"), REFUSED)
def test_what_must_not_be_learnt_is_not_written(tmp_path, refused, reason, says):
    with pytest.raises(RecordError, match=f"^record 'bad': .*{says}") as caught:
        write_records(tmp_path, [record(), refused])
    assert caught.value.reason == reason
    assert not (tmp_path / "records.parquet").exists()
    dropped = Counter()
    count = write_records(
        tmp_path, [refused, record()], drop=lambda error: dropped.update([error.reason])
    )
    assert (count, dropped) == (1, {reason: 1})
    assert list(read_records(tmp_path)) == [record()]


def test_format_errors_are_let_pass_where_they_are_asked_for(tmp_path):
    faulty = bad((CALL, "no tags at all"))
    write_records(tmp_path, [faulty], allow_format_errors=True)
    with pytest.raises(RecordError, match=r"records\.parquet: row 1: turn 2 of 2 .*no_action"):
        list(read_records(tmp_path))
    assert list(read_records(tmp_path, allow_format_errors=True)) == [faulty]


def lines(folder: Path, *changes: dict) -> Path:
    """A folder of one good record and one that is changed."""
    write_records(folder, [record()], format="jsonl")
    path = folder / "records.jsonl"
    good = json.loads(path.read_text())
    path.write_text("".join(json.dumps(row) + "\n" for row in (good, *(good | c for c in changes))))
    return path


@pytest.mark.parametrize(
    ("change", "reason", "says"),
    [
        ({"pictures": [RED.name] * 3}, "picture_count", "3 turns and 3 pictures; give one turn"),
        ({"pictures": [RED.name]}, "picture_count", "3 turns and 1 pictures"),
        ({"pictures": ["ab" * 32] * 2}, "missing_picture", "no picture .*bring the pictures along"),
        ({"pictures": ["../" * 3, RED.name]}, "missing_picture", "is no name of a picture"),
        ({"pictures": "ab"}, "no_record", '"pictures" wants a list of texts'),
        ({"turns": [CALL, DONE, DONE]}, "order", "turn 2 of 3 answers"),
        ({"turns": [CALL, AGAIN, "x"]}, "format_error/no_action", "turn 3 of 3"),
        ({"turns": [CALL, 3, DONE]}, "no_record", '"turns" wants a list of texts'),
        ({"prompt": " "}, "no_record", "empty prompt; write one"),
        ({"prompt": None}, "no_record", '"prompt" wants a text, has None'),
        ({"words": "many"}, "no_record", "whole number"),
        ({"words": 0}, "system", "words is 0"),
        ({"colour": "red"}, "no_record", "unknown key 'colour'"),
    ],
)
def test_a_bad_row_is_one_clear_line_with_its_place(tmp_path, change, reason, says):
    path = lines(tmp_path, change, {"id": "last"})
    with pytest.raises(RecordError, match=f"^{re.escape(str(path))}:2: .*{says}") as caught:
        list(read_records(tmp_path))
    assert caught.value.reason == reason
    assert "\n" not in str(caught.value)
    folder = RecordFolder(tmp_path)
    assert folder[2].request.id == "last"
    with pytest.raises(RecordError, match=f":2: .*{says}"):
        folder[1]
    dropped = Counter()
    assert folder.sound(drop=lambda error: dropped.update([error.reason])) == [0, 2]
    read = list(read_records(tmp_path, drop=lambda error: dropped.update([error.reason])))
    assert [one.request.id for one in read] == ["r1", "last"]
    assert dropped == {reason: 2}


def test_a_line_that_is_no_json_is_named(tmp_path):
    path = lines(tmp_path)
    path.write_bytes(path.read_bytes() + b"{\n[]\n\xff\n")
    said: list[str] = []
    assert len(list(read_records(tmp_path, drop=lambda error: said.append(str(error))))) == 1
    assert [re.sub(".*records.jsonl", "", line)[:12] for line in said] == [
        ":2: not JSON",
        ":3: a list a",
        ":4: not JSON",
    ]


def png(width: int, height: int) -> bytes:
    """A whole PNG of one level: a file of kilobytes, whatever its size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    rows = zlib.compress(bytes(height * (1 + (width + 7) // 8)), 9)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n"
    return start + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "reason", "says"),
    [
        (png(10_000, 10_000), "huge_picture", "has 10000 x 10000 pixels, more than 89478485; make"),
        (png(20_000, 20_000), "huge_picture", "has 20000 x 20000 pixels"),
        (png(50, 50)[:-1], "broken_picture", "PNG without its end; copy it again"),
        (b"", "broken_picture", "is no PNG"),
        (b"GIF89a and more than that and so on", "broken_picture", "is no PNG"),
    ],
    ids=["huge", "vast", "cut", "empty", "GIF"],
)
def test_a_picture_that_cannot_be_used_is_named_before_it_is_decoded(
    tmp_path, content, reason, says, recwarn
):
    path = lines(tmp_path, {})
    store = PictureStore(tmp_path / "pictures")
    store.path(BLUE.name).write_bytes(content)
    with pytest.raises(RecordError, match=f"^{re.escape(str(path))}:1: .*{says}") as caught:
        RecordFolder(tmp_path)[0]
    assert caught.value.reason == reason
    assert not recwarn.list


def test_pictures_of_a_store_are_copied_as_files_and_others_encoded(tmp_path, monkeypatch):
    store = PictureStore(tmp_path / "from" / "pictures")
    stored = store.get(store.put(Image.effect_noise((40, 30), 80)).name)
    given = Record(request=Request(id="1", prompt="p"), turns=(CALL, DONE), pictures=(stored,))
    monkeypatch.setattr(Image.Image, "save", None)  # nothing is encoded
    write_records(tmp_path / "to", [given])
    copied = PictureStore(tmp_path / "to" / "pictures").path(stored.name)
    assert copied.read_bytes() == store.path(stored.name).read_bytes()


def write_embedded(folder, records, **options):
    return write_openai(folder, records, embed=True, **options)


@pytest.mark.parametrize("write", [write_records, write_sharegpt, write_openai, write_embedded])
@pytest.mark.parametrize(
    ("content", "reason", "says"),
    [
        (None, "missing_picture", "no picture .*some.png; bring"),
        (b"none", "broken_picture", "some.png cannot be decoded"),
        (NO_PALETTE, "broken_picture", "some.png cannot be decoded"),
        (png(10_000, 10_000), "huge_picture", "some.png has more than 89478485 pixels"),
    ],
    ids=["missing", "broken", "palette lost", "huge"],
)
def test_a_picture_that_cannot_be_had_is_refused_when_written(
    tmp_path, write, content, reason, says
):
    file = tmp_path / "some.png"
    if content is not None:
        file.write_bytes(content)
    picture = Picture("ab" * 32, path=file)
    given = Record(request=Request(id="1", prompt="p"), turns=(CALL, DONE), pictures=(picture,))
    with pytest.raises(RecordError, match=f"^record '1': .*{says}") as caught:
        write(tmp_path / "to", [given])
    assert caught.value.reason == reason
    dropped = Counter()
    assert write(tmp_path / "to", [given, record()], drop=lambda e: dropped.update([e.reason])) == 1
    assert dropped == {reason: 1}


def test_a_picture_under_another_ones_name_is_refused(tmp_path):
    wrong = Picture(RED.name, image=BLUE.image)
    given = Record(request=Request(id="1", prompt="p"), turns=(CALL, DONE), pictures=(wrong,))
    with pytest.raises(RecordError, match=f"picture {RED.name} has other pixels than its name"):
        write_records(tmp_path, [given])
