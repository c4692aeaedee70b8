import pytest
from hypothesis import given
from hypothesis import strategies as st

from genagent_data import Record, Request
from genagent_policy import split_records


def record(name: str, *, words: int | None = None) -> Record:
    request = Request(id=name, prompt="a red circle")
    return Record(request=request, turns=("t",), pictures=(), words=words)


def test_a_share_is_held_out_by_the_request_alone():
    records = [record(f"r{number}") for number in range(40)]
    split = split_records(records, held_out=0.2)
    assert split.held_out == [7, 9, 13, 19, 28, 31, 33, 36]
    assert split.taught == [number for number in range(40) if number not in split.held_out]
    # Other records, or the same in another order, change nobody's side.
    assert split_records(records[9:14], held_out=0.2).held_out == [0, 4]
    turned = split_records(records[::-1], held_out=0.2)
    assert turned.held_out == [39 - number for number in split.held_out[::-1]]


@given(st.lists(st.integers(0, 30), min_size=30), st.floats(0.2, 0.8))
def test_no_request_is_on_both_sides(numbers: list[int], share: float):
    records = [record(f"r{number}") for number in (*numbers, *range(31))]
    split = split_records(records, held_out=share)
    sides = [{records[n].request.id for n in side} for side in (split.taught, split.held_out)]
    assert not sides[0] & sides[1]
    assert sorted(split.taught + split.held_out) == list(range(len(records)))


@given(st.lists(st.integers(0, 30), min_size=1), st.floats(0.01, 0.99))
def test_few_requests_leave_no_side_empty(numbers: list[int], share: float):
    records = [record(f"r{number}") for number in (*numbers, 31)]
    split = split_records(records, held_out=share)
    assert split.taught and split.held_out
    sides = [{records[n].request.id for n in side} for side in (split.taught, split.held_out)]
    assert not sides[0] & sides[1]


def test_one_request_is_refused():
    with pytest.raises(ValueError, match="2 records of 1 requests; wants two requests or more"):
        split_records([record("r0"), record("r0")], held_out=0.1)
    with pytest.raises(ValueError, match="0 records of 0 requests"):
        split_records([], held_out=0.1)


def test_records_of_another_tool_are_refused():
    records = [record(f"r{number}", words=23) for number in range(40)]
    split_records(records, held_out=0.2).check_words(23)
    split = split_records([*records, record("b", words=40)], held_out=0.2)
    with pytest.raises(ValueError, match=r"1 requests, 'b' first, .* reads 40 .* reads 23"):
        split.check_words(23)
    with pytest.raises(ValueError, match=r"40 requests, 'r0' first, .* here nothing is said"):
        split.check_words(None)
