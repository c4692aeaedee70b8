from hypothesis import given
from hypothesis import strategies as st

from genagent_tracking import one_line, printable


def test_what_steers_a_terminal_is_seen_and_not_obeyed():
    assert printable("a\x1b[2Jb\x07\x00\x7f") == "a␛[2Jb␇␀␡"
    assert printable("\x9b31m \u202egnp.exe \ud800") == "\ufffd31m \ufffdgnp.exe \ufffd"
    assert printable("tab\tand\r\nline ünï 图 👩‍🎨") == "tab\tand\nline ünï 图 👩‍🎨"


@given(st.text(alphabet=st.characters(codec=None)))
def test_it_can_always_be_written_and_holds_no_escape(text: str):
    shown = printable(text)
    shown.encode()
    assert not any(ord(c) < 0x20 and c not in "\t\n" for c in shown)
    assert printable(shown) == shown


@given(st.text(), st.integers(10, 40))
def test_a_line_is_one_line_and_no_longer(text: str, limit: int):
    line = one_line(text, limit=limit)
    assert len(line) <= limit and len(line.splitlines()) <= 1


def test_a_line_that_is_cut_says_so():
    assert one_line("three red\n circles", limit=40) == "three red circles"
    assert one_line("three red circles", limit=12) == "three red …"
