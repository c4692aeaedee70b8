"""Files of one object a line: what is written is read back, and a broken line is named."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from genagent_data import read_jsonl, write_jsonl

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
ODD_TEXTS = ["a\u2028b", "a\u2029b", "a\x85b", "a\x0bb", "a\x1cb", "a\rb", "a\nb", "\ufeffa", "é🔴"]
"""What str.splitlines or a text file would split, and what ASCII does not have."""


def same(row: dict) -> dict:
    return row


@given(written=st.lists(st.dictionaries(texts, values, max_size=3), max_size=4))
@example(written=[{text: text} for text in ODD_TEXTS])
@example(written=[])
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, written):
    path = tmp_path_factory.getbasetemp() / "rows.jsonl"
    write_jsonl(path, iter(written))
    assert read_jsonl(path, same) == written
    assert path.read_bytes().count(b"\n") == len(written)


def test_lines_of_other_programs_are_read(tmp_path: Path):
    path = tmp_path / "some.jsonl"
    path.write_bytes(b'{"a": 1}\r\n {"a":\t"\\u00e9"}')
    assert read_jsonl(path, lambda row: row["a"]) == [1, "é"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "Expecting property name"),
        ('{"a": 1} {"a": 2}', "Extra data"),
        ("", "Expecting value"),
        ("[]", "a list and no object"),
        ('[{"a": 1}]', "a list and no object"),
        ("3", "a int and no object"),
        ('"a"', "a str and no object"),
        ("true", "a bool and no object"),
        ("null", "a NoneType and no object"),
        ('{"a": "x"}', "invalid literal for int"),
    ],
)
def test_a_broken_line_is_named_by_file_and_number(tmp_path: Path, line, says):
    path = tmp_path / "some.jsonl"
    path.write_text(f'{{"a": "1"}}\n{line}\n{{"a": "3"}}\n')
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}:2: .*{says}"):
        read_jsonl(path, lambda row: int(row["a"]))


def test_an_absent_file_is_an_os_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"none\.jsonl"):
        read_jsonl(tmp_path / "none.jsonl", same)


@pytest.mark.parametrize("before", [None, {"a": "before"}])
def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, before):
    path = tmp_path / "some.jsonl"
    if before is not None:
        write_jsonl(path, [before])

    def failing():
        yield {"a": "after"}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_jsonl(path, failing())
    assert list(tmp_path.iterdir()) == ([] if before is None else [path])
    assert before is None or json.loads(path.read_text()) == before
