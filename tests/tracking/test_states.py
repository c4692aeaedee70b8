"""States on disk: verified before they are gone on from, and never lost to one that fails."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.small_disk import small_disk

from genagent_tracking.checksums import write_checksums
from genagent_tracking.states import Notes, States

Harm = Callable[[Path], None]


class Learner:
    """Saves its number of steps, and so much besides."""

    def __init__(self, *, size: int = 1000) -> None:
        self.steps = 0
        self.size = size

    def save(self, folder: Path) -> None:
        (folder / "policy").mkdir()
        (folder / "policy" / "weights").write_bytes(bytes([self.steps]) * self.size)
        (folder / "optimizer.pt").write_text(str(self.steps))

    def restore(self, folder: Path) -> None:
        self.steps = int((folder / "optimizer.pt").read_text())


def states(folder: Path, said: list[str] | None = None, *, keep: int = 2) -> States:
    return States(folder, keep=keep, say=[].append if said is None else said.append)


def take(states: States, learner: Learner, *steps: int) -> None:
    for step in steps:
        learner.steps = step
        states.keep(learner, Notes(step=step, seconds=1.5 * step))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_last_few_are_kept(tmp_path, keep):
    kept = states(tmp_path, keep=keep)
    assert kept.latest is None and kept.notes is None
    take(kept, Learner(), 1, 2, 3, 4)
    assert names(tmp_path) == [f"step-00000{step}" for step in range(5 - keep, 5)]
    assert kept.latest == tmp_path / "step-000004"
    assert kept.notes == Notes(step=4, seconds=6.0)


def cut(state: Path) -> None:
    path = state / "policy" / "weights"
    path.write_bytes(path.read_bytes()[:400])


def flip(state: Path) -> None:
    path = state / "policy" / "weights"
    path.write_bytes(b"\xff" + path.read_bytes()[1:])


def other_notes(state: Path) -> None:
    """As another program would write them: whole, and no notes of ours."""
    (state / "notes.json").write_text('{"step": "3", "seconds": 4.5}')
    (state / "checksums.json").unlink()
    write_checksums(state)


HARMS = [
    (cut, "policy/weights has 400 of 1,000 bytes"),
    (flip, "policy/weights has other bytes than were written"),
    (lambda state: (state / "optimizer.pt").unlink(), "optimizer.pt: No such file or directory"),
    (lambda state: (state / "checksums.json").unlink(), "it has no checksums.json"),
    (lambda state: (state / "checksums.json").write_bytes(b"\xff["), "checksums.json cannot be"),
    (lambda state: (state / "checksums.json").write_text("[" * 9999), "checksums.json cannot be"),
    (lambda state: (state / "checksums.json").write_text('{"a": 7}'), "checksums.json cannot be"),
    (lambda state: (state / "notes.json").write_text('{"step": 3}'), "notes.json has 11 of"),
    (other_notes, "notes.json holds no notes of a state ({'step': '3', 'seconds': 4.5})"),
]


@pytest.mark.parametrize(("harm", "reason"), HARMS, ids=[reason for _, reason in HARMS])
def test_one_that_is_damaged_is_named_and_the_one_before_it_is_taken(tmp_path, harm: Harm, reason):
    take(states(tmp_path), Learner(), 2, 3)
    harm(tmp_path / "step-000003")
    said: list[str] = []
    found = states(tmp_path, said)
    assert found.latest == found.latest == tmp_path / "step-000002"
    [line] = said
    state = tmp_path / "step-000003"
    assert line.replace(f"({state}/", "(").startswith(f"{state} is damaged ({reason}")
    assert line.endswith("; going on from step-000002")
    assert "\n" not in line
    # The step is taken again, and the whole state stands where the damaged one was.
    learner = Learner()
    learner.restore(tmp_path / "step-000002")
    take(found, learner, 3)
    assert names(tmp_path) == ["step-000002", "step-000003"]
    assert states(tmp_path).latest == tmp_path / "step-000003"


def test_a_damaged_one_takes_no_place_of_a_whole_one(tmp_path):
    take(states(tmp_path), Learner(), 2, 3)
    cut(tmp_path / "step-000003")
    found = states(tmp_path)
    take(found, Learner(), 4)
    assert names(tmp_path) == ["step-000002", "step-000004"]


def test_where_none_is_whole_nothing_is_begun_anew(tmp_path):
    take(states(tmp_path), Learner(), 2, 3)
    for number in (2, 3):
        cut(tmp_path / f"step-00000{number}")
    with pytest.raises(ValueError, match=r"no whole state: step-000003 \(.*\); step-000002 \(.*\)"):
        _ = states(tmp_path).latest


def test_contents_are_read_once_a_process(tmp_path, monkeypatch):
    take(states(tmp_path), Learner(), 1)
    found, read = states(tmp_path), []
    monkeypatch.setattr("genagent_tracking.states.damage", lambda state: read.append(state))
    for _ in range(3):
        assert found.latest is not None and found.notes is not None
    take(found, Learner(), 2, 3)
    assert found.latest == tmp_path / "step-000003"
    assert read == [tmp_path / "step-000001"]


def test_a_disk_that_is_full_costs_no_state(tmp_path):
    with small_disk(tmp_path / "disk", 1024) as enlarge:
        folder = tmp_path / "disk" / "state"
        kept, learner = states(folder), Learner(size=400_000)
        take(kept, learner, 1, 2)
        with pytest.raises(OSError, match="No space left"):
            take(kept, learner, 3)
        assert names(folder) == ["step-000001", "step-000002"]  # nor does half of one stay
        assert states(folder).latest == folder / "step-000002"
        enlarge(4096)
        take(kept, learner, 3)
        assert names(folder) == ["step-000002", "step-000003"]
