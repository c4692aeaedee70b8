"""Requests and files of them."""

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from genagent_data import Request, read_requests

prompts = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r")).filter(str.strip),
    min_size=1,
)
ODD_LINES = ["a\u2028b", "a\u2029b", "a\x85b", "a\x0bb", "a\x0cb", "a\x1cb", "\ufeffa", "[", "{}"]
"""What str.splitlines splits, what looks like a byte order mark, and what looks like JSON."""


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.jsonl", lambda rows, dump: "\n".join(dump({"prompt": row}) for row in rows)),
        ("a.NDJSON", lambda rows, dump: "".join(dump({"prompt": row}) + "\r\n" for row in rows)),
        ("a.json", lambda rows, dump: dump(rows)),
        ("a.JSON", lambda rows, dump: dump([{"prompt": row} for row in rows])),
        ("a.json", lambda rows, dump: dump({"prompts": rows})),
    ],
)
@given(written=prompts)
@example(written=ODD_LINES)
def test_prompts_come_back_unchanged(tmp_path_factory, name, write, ascii_only, written):
    path = tmp_path_factory.getbasetemp() / name
    text = write(written, lambda value: json.dumps(value, ensure_ascii=ascii_only))
    path.write_bytes(text.encode())
    assert read_requests(path) == [
        Request(id=f"a-{number}", prompt=prompt) for number, prompt in enumerate(written, start=1)
    ]


@given(
    written=prompts, ending=st.sampled_from(["\n", "\r\n"]), mark=st.sampled_from(["", "\ufeff"])
)
@example(written=ODD_LINES, ending="\n", mark="\ufeff")
def test_a_text_file_gives_prompts_without_the_blanks_around(
    tmp_path_factory, written, ending, mark
):
    path = tmp_path_factory.getbasetemp() / "b.txt"
    path.write_bytes((mark or "\n").encode() + ending.join(written).encode())
    assert [request.prompt for request in read_requests(path)] == [row.strip() for row in written]


def test_a_text_file_holds_one_prompt_a_line(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("two red circles\n\n  a blue café  \n", encoding="utf-8")
    assert read_requests(path) == [
        Request(id="mine-1", prompt="two red circles"),
        Request(id="mine-3", prompt="a blue café"),
    ]


@pytest.mark.parametrize("name", ["mine.jsonl", "mine.JSONL", "mine.ndjson"])
def test_a_jsonl_file_holds_one_object_a_line(tmp_path, name):
    path = tmp_path / name
    path.write_text(
        '{"prompt": "a cat"}\n\n'
        '{"id": 7, "prompt": " a dog", "task": "count", "hints": ["one dog"], '
        '"reference": "d.png"}\n'
        '{"id": null, "prompt": "an owl", "task": null, "hints": null, "reference": null}\n'
    )
    assert read_requests(path) == [
        Request(id="mine-1", prompt="a cat"),
        Request(id="7", prompt=" a dog", task="count", hints=("one dog",), reference="d.png"),
        Request(id="mine-4", prompt="an owl"),
    ]


@pytest.mark.parametrize("key", [None, "requests", "prompts", "data"])
def test_a_json_file_holds_an_array(tmp_path, key):
    path = tmp_path / "mine.Json"
    rows = [
        "a cat",
        {"id": "d", "prompt": "a dog", "hints": ["one dog"]},
        {"tag": "count", "include": [{"class": "owl", "count": 2}], "prompt": "two owls"},
    ]
    path.write_text(json.dumps({"version": 1, key: rows} if key else rows, indent=2))
    assert read_requests(path) == [
        Request(id="mine-1", prompt="a cat"),
        Request(id="d", prompt="a dog", hints=("one dog",)),
        Request(id="mine-3", prompt="two owls", task="count", hints=("exactly 2 owls",)),
    ]


@pytest.mark.parametrize("name", ["mine.txt", "mine.jsonl", "mine.json"])
def test_a_byte_order_mark_is_no_part_of_the_first_request(tmp_path, name):
    path = tmp_path / name
    content = {"mine.txt": "a cat", "mine.jsonl": '{"prompt": "a cat"}', "mine.json": '["a cat"]'}
    path.write_text(content[name], encoding="utf-8-sig")
    assert read_requests(path) == [Request(id="mine-1", prompt="a cat")]


@pytest.mark.parametrize("row", ["[1]", "3", '{"id": "a"}', '{"prompt": 3}', '{"Prompt": "a"}'])
def test_an_entry_without_a_prompt_shows_its_beginning(tmp_path, row):
    for name, place in (("mine.jsonl", ":1"), ("mine.json", ": entry 1")):
        path = tmp_path / name
        path.write_text(row if name == "mine.jsonl" else f"[{row}]")
        message = f"{path}{place}: wants an object with a text \"prompt\", has '{row}'"
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            read_requests(path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            '{"prompt": "a", "colour": "red"}',
            "unknown key 'colour'; known: id, prompt, task, hints",
        ),
        ('{"prompt": "a", "tag": "red"}', "unknown key 'tag'"),
        ('{"prompt": "a", "hints": "b"}', '"hints" wants a list'),
        ('{"prompt": "a", "hints": [1]}', '"hints" wants a list'),
        ('{"prompt": "a", "hints": ["b", " "]}', '"hints" wants a list of texts, none of them'),
        ('{"prompt": "a", "id": true}', '"id" wants a text or a whole number, has True'),
        ('{"prompt": "a", "id": 1.5}', '"id" wants a text or a whole number, has 1.5'),
        ('{"prompt": "a", "id": ""}', '"id" wants a text or a whole number'),
        ('{"prompt": "a", "task": ["b"]}', '"task" wants a text'),
        ('{"prompt": "a", "reference": 1}', '"reference" wants the path of a picture, has 1'),
        ('{"prompt": "  "}', "empty prompt"),
        ('""', "empty prompt"),
        (r'{"prompt": "a \ud83d"}', r"holds '\\ud83d', half of a surrogate pair"),
        ('{"prompt": "a", "id": "one"}', "id 'one' is taken by "),
    ],
)
def test_a_broken_entry_is_named_by_file_and_number(tmp_path, row, message):
    first = '{"prompt": "fine", "id": "one"}'
    contents = {"mine.jsonl": f"{first}\n\n{row}\n", "mine.json": f"[{first}, {row}]"}
    for name, place in (("mine.jsonl", ":3: "), ("mine.json", ": entry 2: ")):
        path = tmp_path / name
        path.write_text(contents[name])
        with pytest.raises(ValueError, match=message) as caught:
            read_requests(path)
        assert str(caught.value).startswith(f"{path}{place}")


def test_both_places_of_an_id_are_named(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text('{"prompt": "a"}\n{"prompt": "b", "id": 7}\n{"prompt": "c", "id": "7"}\n')
    with pytest.raises(ValueError) as caught:
        read_requests(path)
    assert str(caught.value) == (
        f"{path}:3: id '7' is taken by {path}:2; give each request its own"
    )


def test_an_id_may_not_be_the_one_another_request_has_by_default(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text('[{"prompt": "a", "id": "mine-2"}, "b"]')
    with pytest.raises(ValueError, match=r"entry 2: id 'mine-2' is taken by .*: entry 1;"):
        read_requests(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("mine.jsonl", '{"prompt": "a"}\n{\n', r"mine\.jsonl:2: not JSON .* write one object a li"),
        ("mine.json", '["a",\n "b"', r"mine\.json:2: not JSON \(.* at column 5\); write one array"),
        ("mine.json", '{"prompt": "a"}\n{"prompt": "b"}', r"json:2: .*name the file \.jsonl if"),
        ("mine.json", '{"prompt": "a"}', r"wants an array of requests, at the top or under one of"),
        ("mine.json", '{"data": "a"}', r'wants an array of requests.*has \'{"data": "a"}\''),
        ("mine.json", '"a"', "wants an array of requests"),
        ("mine.json", '{"prompts": [], "data": []}', 'both "prompts" and "data"; keep one'),
        ("mine.json", "[]", "holds no request; write at least one prompt"),
        ("mine.jsonl", "", "holds no request"),
        ("mine.txt", "\n \u2028\n", "holds no request"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message) as caught:
        read_requests(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("a cat\na café".encode("latin-1"), ":2: byte 11 of the file (0xe9)"),
        (b"\xef\xbb\xbfa\n\xff", ":2: byte 5 of the file (0xff)"),
        ("a cat".encode("utf-16-le").join([b"\xff\xfe", b""]), ":1: byte 0 of the file (0xff)"),
        ("é".encode()[:1], ":1: byte 0 of the file (0xc3)"),
    ],
)
def test_another_encoding_is_named_by_its_first_odd_byte(tmp_path, content, place):
    path = tmp_path / "mine.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        read_requests(path)
    assert str(caught.value) == f"{path}{place} is not UTF-8; save the file as UTF-8"


def test_a_path_that_is_no_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "none.txt"))):
        read_requests(tmp_path / "none.txt")
    with pytest.raises(IsADirectoryError, match=re.escape(str(tmp_path))):
        read_requests(tmp_path)


def test_a_request_says_something():
    with pytest.raises(ValueError, match="'x' has an empty prompt"):
        Request(id="x", prompt=" ")
