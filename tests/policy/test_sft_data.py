import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from genagent_data import Picture, Record, Request
from genagent_policy import check_records, check_words, split_records

CALL = (
    "<think>t</think><tool_call>"
    '{"name": "generate_image", "arguments": {"prompt": "p"}}</tool_call>'
)
AGAIN = f"<judge>no</judge>{CALL}"
DONE = "<judge>yes</judge><answer>done</answer>"
PICTURE = Picture.of(Image.new("RGB", (4, 4)))


def record(name: str, *turns: str, words: int | None = None) -> Record:
    turns = turns or (CALL, DONE)
    return Record(
        request=Request(id=name, prompt="a red circle"),
        turns=turns,
        pictures=(PICTURE,) * (len(turns) - 1),
        words=words,
    )


def ids(records: list[Record]) -> list[str]:
    return [one.request.id for one in records]


def test_a_share_is_held_out_by_the_request_alone():
    records = [record(f"r{number}") for number in range(40)]
    taught, held_out = split_records(records, held_out=0.2)
    assert ids(held_out) == ["r7", "r9", "r13", "r19", "r28", "r31", "r33", "r36"]
    assert len(taught) == 32
    # Other records, or the same in another order, change nobody's side.
    assert ids(split_records(records[9:14], held_out=0.2)[1]) == ["r9", "r13"]
    assert ids(split_records(records[::-1], held_out=0.2)[1]) == ids(held_out)[::-1]


@given(st.lists(st.integers(0, 30), min_size=30), st.floats(0.2, 0.8))
def test_no_request_is_on_both_sides(numbers: list[int], share: float):
    records = [record(f"r{number}") for number in (*numbers, *range(31))]
    taught, held_out = split_records(records, held_out=share)
    assert not set(ids(taught)) & set(ids(held_out))
    assert len(taught) + len(held_out) == len(records)


def test_an_empty_side_is_refused():
    with pytest.raises(
        ValueError, match=r"0\.1 of 1 records leaves 1 to learn from and 0 held out"
    ):
        split_records([record("r0")], held_out=0.1)


def test_whole_records_are_let_pass():
    check_records([record("a"), record("b", CALL, AGAIN, DONE), record("c", CALL, AGAIN)])


@pytest.mark.parametrize(
    ("turns", "fault"),
    [
        ((CALL, CALL), "turn 2: missing_judgement"),
        ((DONE,), "turn 1: answer_before_picture"),
        (("<tool_call>{}</tool_call>", DONE), "turn 1: missing_thinking"),
        ((CALL, DONE, DONE), "turn 2 of 3 answers"),
    ],
)
def test_broken_records_are_refused(turns: tuple[str, ...], fault: str):
    records = [record("a"), record("b", *turns), record("c", *turns)]
    with pytest.raises(ValueError, match=rf"2 of 3 records break .* 'b' first \({fault}\)"):
        check_records(records)


def test_no_records_are_refused():
    with pytest.raises(ValueError, match="hold no record"):
        check_records([])


def test_records_of_another_tool_are_refused():
    records = [record("a", words=23), record("b", words=40)]
    check_words(records[:1], words=23)
    with pytest.raises(ValueError, match=r"1 of 2 .* 'b' first, .* reads 40 .* told 23 words"):
        check_words(records, words=23)
    with pytest.raises(ValueError, match="2 of 2 records, 'a' first"):
        check_words(records, words=None)
