"""Requests and files of them."""

import pytest

from genagent_data import Request, read_requests


def test_a_text_file_holds_one_prompt_a_line(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("two red circles\n\n  a blue café  \n", encoding="utf-8")
    assert read_requests(path) == [
        Request(id="mine-1", prompt="two red circles"),
        Request(id="mine-3", prompt="a blue café"),
    ]


def test_a_jsonl_file_holds_one_object_a_line(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text(
        '{"prompt": "a cat"}\n\n'
        '{"id": 7, "prompt": " a dog", "task": "count", "hints": ["one dog"], '
        '"reference": "d.png"}\n'
    )
    assert read_requests(path) == [
        Request(id="mine-1", prompt="a cat"),
        Request(id="7", prompt=" a dog", task="count", hints=("one dog",), reference="d.png"),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        ("[1]", 'object with a text "prompt"'),
        ('{"id": "a"}', 'object with a text "prompt"'),
        ('{"prompt": 3}', 'object with a text "prompt"'),
        ('{"prompt": "a", "colour": "red"}', "unknown key 'colour'"),
        ('{"prompt": "a", "hints": "b"}', '"hints" wants a list'),
        ('{"prompt": "a", "hints": [1]}', '"hints" wants a list'),
        ('{"prompt": "  "}', "empty prompt"),
    ],
)
def test_a_broken_line_is_named_by_file_and_number(tmp_path, line, message):
    path = tmp_path / "mine.jsonl"
    path.write_text('{"prompt": "fine"}\n\n' + line + "\n")
    with pytest.raises(ValueError, match=message) as caught:
        read_requests(path)
    assert str(caught.value).startswith(f"{path}:3: ")


def test_a_file_without_a_request_is_refused(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("\n \n")
    with pytest.raises(ValueError, match="holds no request"):
        read_requests(path)


def test_an_absent_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_requests(tmp_path / "none.txt")


def test_a_request_says_something():
    with pytest.raises(ValueError, match="'x' has an empty prompt"):
        Request(id="x", prompt=" ")
