"""The door of request files: requests, or one line that names the file."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.hostile.drawn import JSONS

from genagent_data import read_requests

SUFFIXES = st.sampled_from([".txt", ".jsonl", ".json"])


@settings(max_examples=80)
@given(suffix=SUFFIXES, lines=st.lists(JSONS, min_size=1, max_size=3))
def test_whatever_a_file_holds_it_is_requests_or_one_line(tmp_path_factory, suffix, lines):
    path = tmp_path_factory.getbasetemp() / f"drawn{suffix}"
    path.write_bytes(b"\n".join(lines))
    try:
        requests = read_requests(path)
    except ValueError as error:
        assert str(error).startswith(str(path))
        assert "\n" not in str(error)
        assert len(str(error)) < 1000
    else:
        for request in requests:
            json.dumps([request.id, request.prompt, request.task], ensure_ascii=False).encode()


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
@pytest.mark.parametrize(
    "content", [b"[" * 200_000, b"9" * 5000, b'{"prompt": ' + b"9" * 5000 + b"}"]
)
def test_deep_nesting_and_endless_numbers_are_one_line(tmp_path: Path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}.*not JSON") as raised:
        read_requests(path)
    assert "\n" not in str(raised.value)
