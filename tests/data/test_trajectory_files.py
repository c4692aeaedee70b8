"""Trajectories in files: what is written is read back, and a broken line is named."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genagent_data import Request, Round, Trajectory, read_trajectories, write_trajectories

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
rounds = st.builds(
    Round,
    thinking=st.none() | texts,
    tool_prompt=texts,
    image=st.none() | texts,
    judgement=st.none() | texts,
    seed=st.integers(0, 2**62),
    tool_seconds=st.floats(0, 1e6),
)
requests = st.builds(
    Request,
    id=texts,
    prompt=texts.filter(str.strip),
    task=texts,
    hints=st.tuples() | st.tuples(texts) | st.tuples(texts, texts),
    reference=st.none() | texts,
)
trajectories = st.builds(
    Trajectory,
    request=requests,
    rounds=st.lists(rounds, max_size=3).map(tuple),
    answer=st.none() | texts,
    ending=st.sampled_from(["answer", "out_of_rounds", "format_error", "tool_failure"]),
    error=st.none() | texts,
)


@given(written=st.lists(trajectories, max_size=4))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, written):
    path = tmp_path_factory.getbasetemp() / "trajectories.jsonl"
    write_trajectories(path, written)
    assert read_trajectories(path) == written


def test_a_broken_line_is_named(tmp_path: Path):
    path = tmp_path / "some.jsonl"
    one = Trajectory(request=Request(id="1", prompt="a red circle"), rounds=(), ending="answer")
    write_trajectories(path, [one])
    for broken in ("{", "[]", '{"request": {"id": "1", "prompt": "x"}}', "\n"):
        path.write_text(path.read_text().splitlines()[0] + "\n" + broken)
        with pytest.raises(ValueError, match=r"some\.jsonl:2: not a trajectory"):
            read_trajectories(path)


def test_nothing_half_written_is_left(tmp_path: Path):
    path = tmp_path / "some.jsonl"

    def failing():
        yield Trajectory(request=Request(id="1", prompt="p"), rounds=(), ending="answer")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_trajectories(path, failing())
    assert list(tmp_path.iterdir()) == []
