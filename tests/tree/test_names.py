"""No test has a name that floods a terminal."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.names import LONGEST, faults, legible


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("a cat", "a cat"),
        ("two\r\n lines", "two_ lines"),
        ("caf\udce9 \x00", "caf_ _"),
        (b"\x1f\x8b\x08gz", "_gz"),
        (re.compile(r"\bcat"), r"\bcat"),
        ("x" * 500_000, "x" * 33 + "..."),
        (7, None),
        (None, None),
    ],
)
def test_a_case_is_called_after_what_can_be_read(value: object, name: str | None):
    assert legible(value) == name


@given(st.text() | st.binary(), st.text() | st.binary())
def test_two_values_of_whatever_kind_make_a_name(first: str | bytes, second: str | bytes):
    name = f"{legible(first)}-{legible(second)}"
    assert len(name) <= LONGEST
    assert name.isprintable()


def test_each_absurd_name_is_a_line():
    assert (
        faults(
            [
                "t.py::test_a",
                "t.py::test_b[ab]",
                f"t.py::test_c[{'ab' * 40}]",
                r"t.py::test_c[\d+ \u]",
            ]
        )
        == []
    )
    assert faults([f"t.py::test_d[{'ab' * 41}]", r"t.py::test_e[a\x00b]"]) == [
        f"t.py::test_d: the case {'ab' * 18!r} has 82 characters; wants at most 80: "
        "name it by pytest.param(..., id=...)",
        r"t.py::test_e: the case 'a\\x00b' holds what cannot be printed: "
        "name it by pytest.param(..., id=...)",
    ]


@pytest.mark.parametrize("page", ["<html>\n" + "x" * 500_000])
def test_a_page_is_no_name(page: str, request: pytest.FixtureRequest):
    assert request.node.name == f"test_a_page_is_no_name[<html>_{'x' * 26}...]"
