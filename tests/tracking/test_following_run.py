"""A run in another process than the first, beside the first."""

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.tracking.a_run import Learner, config, make_run

from genagent_tracking import Run
from genagent_tracking.following_run import FollowingRun
from genagent_tracking.states import Notes, States


class TwoRanks:
    """One of two processes: what the first makes, the second hears, and makes nothing itself."""

    size = 2

    def __init__(self, rank: int, heard: deque[Any]) -> None:
        self.rank = rank
        self.has_parted = False
        self._heard = heard

    def first(self, make: Callable[[], Any]) -> Any:
        if self.rank:
            return self._heard.popleft()
        self._heard.append(make())
        return self._heard[-1]

    def part(self) -> None:
        self.has_parted = True


class Follower(Learner):
    """Writes nothing; notes when it was to take part in a state."""

    def __init__(self) -> None:
        super().__init__()
        self.saved: list[int] = []

    def save(self, folder: Path) -> None:
        self.saved.append(self.steps)


def begun(folder: Path, *, kept: int) -> Run:
    """A run with a state of each step so far, that goes on."""
    run = make_run(folder)
    states = States(run.folder / "state", keep=kept, say=print)
    for step in range(1, kept + 1):
        learner = Learner()
        learner.steps = step
        states.keep(learner, Notes(step=step, seconds=1.0))
    return run


def joined(first: Run) -> tuple[FollowingRun, TwoRanks]:
    heard = deque()
    follower, ranks = FollowingRun("job", first.config, first.config), TwoRanks(1, heard)
    first.join(TwoRanks(0, heard))
    follower.join(ranks)
    return follower, ranks


def test_it_goes_on_from_the_state_that_the_first_has_found_whole(tmp_path):
    first = begun(tmp_path, kept=3)
    damaged = first.folder / "state" / "step-000003" / "optimizer"
    damaged.write_text("bad")
    follower, _ = joined(first)
    damaged.write_text("3")  # this one's disk may show something else
    assert follower.folder == first.folder
    assert follower.saved_policy == first.folder / "state" / "step-000002" / "policy"
    learner, taken = Follower(), []
    with follower.recording(learner):
        assert (follower.step, follower.kept, learner.steps) == (2, 2, 2)
        for step in follower.steps(5):
            taken.append(step)
            with follower.update():
                learner.steps += 1
    assert taken == [2, 3, 4]
    assert (follower.step, follower.kept, learner.steps) == (5, 5, 5)
    assert learner.saved == [3, 4, 5]


def test_it_begins_at_the_beginning_where_the_first_has_no_state(tmp_path):
    follower, _ = joined(make_run(tmp_path))
    learner = Follower()
    with follower.recording(learner):
        assert (follower.step, follower.kept, learner.steps) == (0, 0, 0)
        assert list(follower.steps(2)) == [0, 1]
    assert follower.saved_policy is None


def test_a_machine_with_other_files_than_the_first_is_named(tmp_path):
    first = make_run(tmp_path)
    follower, _ = joined(first)
    first.made_with(policy="0a1b", records="77ff")
    follower.made_with(policy="0a1b", records="77ff")
    first.made_with(policy="0a1b", records="77ff")
    with pytest.raises(ValueError, match=r"has another records \(88\) than the first process \(77"):
        follower.made_with(policy="0a1b", records="88")


def test_one_that_fails_parts_from_the_others(tmp_path):
    follower, ranks = joined(make_run(tmp_path))
    with pytest.raises(OSError, match="no memory"), follower.recording(Follower()):
        assert not ranks.has_parted
        raise OSError("no memory")
    assert ranks.has_parted


def test_a_folder_that_only_the_first_sees_is_named(tmp_path):
    follower = FollowingRun("job", config(tmp_path), config(tmp_path))
    follower.join(TwoRanks(1, deque([(tmp_path / "elsewhere", None)])))
    with pytest.raises(ValueError, match=r"elsewhere is not there on .+; give --runs"):
        _ = follower.folder
