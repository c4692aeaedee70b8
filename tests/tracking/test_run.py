"""A run: what it keeps, what it goes on from, and how it ends."""

import errno
import fcntl
import json
import os
import signal
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.tracking.a_run import (
    REQUESTS,
    Learner,
    attempt_record,
    config,
    logged,
    make_run,
    note,
    outcomes,
    status,
    take_steps,
    traces_of,
    world,
)

from genagent_rewards import Verdict
from genagent_tracking import Run, interrupt
from genagent_tracking.failure import read_failure
from genagent_tracking.step_figures import read_figures
from genagent_worlds import GroupRecord, Judges, World, measure


def test_it_is_loading_until_it_is_recorded(tmp_path, monkeypatch):
    run, heard = make_run(tmp_path), []

    @contextmanager
    def waiting(title):
        heard.append(title)
        yield
        heard.append("over")

    monkeypatch.setattr("genagent_tracking.run.waiting", waiting)
    with run.loading():
        assert heard == ["loading"]
        with run.recording(Learner()):
            assert heard == ["loading", "over"]
    assert heard == ["loading", "over"]


@pytest.mark.parametrize(("in_update", "kept"), [(True, 2), (False, 3)])
def test_ctrl_c_keeps_the_last_whole_step_and_the_run_can_go_on(tmp_path, capsys, in_update, kept):
    run, learner = make_run(tmp_path), Learner()
    with run.recording(learner):
        take_steps(run, learner, 5, broken_at=2, in_update=in_update)
    assert learner.steps == 3  # half of the third is no policy to keep
    assert (run.folder / "policy" / "weights").read_text() == str(kept)
    assert json.loads((run.folder / "summary.json").read_text())["steps"] == kept
    assert status(run) == "KILLED"
    assert note(run).startswith(f"**Stopped after step {kept}.** `uv run experiments/job.py …")
    assert ">killed</span>" in (run.folder / "report.html").read_text()
    assert f"stopped after step {kept}" in capsys.readouterr().out

    again, learner = make_run(tmp_path, resumed=run.folder), Learner()
    assert again.saved_policy == run.folder / "state" / f"step-{kept:06d}" / "policy"
    with again.recording(learner):
        assert (again.step, learner.steps) == (kept, kept)
        take_steps(again, learner, 5)
        again.conclude(outcomes(again, *["blue"] * 4), outcomes(again, *["red"] * 4))
    assert again.tracker.run_id == run.tracker.run_id
    assert (again.folder / "policy" / "weights").read_text() == "5"
    assert [step for step, _ in logged(again, "loss")] == [1, 2, 3, 4, 5]
    assert list(read_figures(again.folder)["loss"]) == [1, 2, 3, 4, 5]


def test_sigterm_keeps_the_same_and_ends_with_143(tmp_path, monkeypatch):
    monkeypatch.setattr(interrupt, "_terminated", False)
    before = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    interrupt.quit_on_interrupt()
    run, learner = make_run(tmp_path), Learner()
    with pytest.raises(SystemExit) as ended, run.recording(learner):
        take_steps(run, learner, 2)
        signal.raise_signal(signal.SIGTERM)
    for number, handler in before:
        signal.signal(number, handler)
    assert ended.value.code == 143
    assert (status(run), run.kept) == ("KILLED", 2)


def test_states_come_every_so_many_steps_and_at_the_end(tmp_path):
    learner = Learner()
    every_third = replace(config(tmp_path), checkpoint_every=3)
    run = Run("job", every_third, every_third)
    kept = []
    with run.recording(learner):
        for _ in run.steps(7):
            kept.append(run.kept)
            with run.update():
                learner.steps += 1
            run.log({})
        kept.append(run.kept)
    assert kept == [0, 0, 0, 3, 3, 3, 6, 7]
    # Between two states Ctrl-C keeps what has been learnt since.
    with run.recording(learner):
        take_steps(run, learner, 12, broken_at=7)
    assert run.kept == 8


def test_two_processes_do_not_run_in_one_folder(tmp_path):
    run = make_run(tmp_path)
    with pytest.raises(ValueError, match=rf"still running \(process {os.getpid()}\)"):
        _ = make_run(tmp_path, resumed=run.folder).folder
    run.close()
    assert make_run(tmp_path, resumed=run.folder).folder == run.folder


def test_a_file_system_without_locks_is_one_line_with_a_remedy(tmp_path, monkeypatch):
    def flock(file, operation):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))  # as Lustre mounted without flock

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(ValueError, match=r"cannot be locked \(Function not .* a local disk$"):
        _ = make_run(tmp_path).folder


def test_a_policy_that_is_kept_twice_takes_its_room_once(tmp_path):
    run, learner = make_run(tmp_path), Learner()
    with run.recording(learner):
        take_steps(run, learner, 1)
        run.conclude(outcomes(run, *["blue"] * 4), outcomes(run, *["red"] * 4))
    assert run.saved_policy is not None
    twice = (run.folder / "policy" / "weights", run.saved_policy / "weights")
    assert len({path.stat().st_ino for path in twice}) == 1


def test_ctrl_c_before_the_first_step_leaves_no_policy(tmp_path):
    run = make_run(tmp_path)
    with run.recording(Learner()):
        raise KeyboardInterrupt
    summary = json.loads((run.folder / "summary.json").read_text())
    assert (summary["status"], summary["steps"], summary["policy"]) == ("killed", 0, None)


def test_a_failure_goes_through_is_marked_and_has_its_page_until_it_goes_on(tmp_path, capsys):
    run = make_run(tmp_path)
    assert not run.has_begun
    with pytest.raises(OSError, match="disk full"), run.recording(Learner()):
        take_steps(run, Learner(), 1)
        raise OSError("disk full")
    assert run.has_begun
    assert status(run) == "FAILED"
    assert not (run.folder / "summary.json").exists()
    failure = read_failure(run.folder)
    assert failure is not None and (failure.error, failure.step) == ("OSError: disk full", 1)
    page = run.folder / "report.html"
    assert "OSError: disk full" in page.read_text()
    assert f"report: {page}" in capsys.readouterr().out.splitlines()
    again = make_run(tmp_path, resumed=run.folder)
    with again.recording(Learner()):
        take_steps(again, Learner(), 2)
        again.finish({})
    assert read_failure(run.folder) is None
    assert "disk full" not in page.read_text()


@pytest.mark.parametrize("variable", ["GROUP_RANK", "CROSS_RANK"])  # torchrun's and DeepSpeed's
def test_machines_share_a_folder_and_no_database(tmp_path, monkeypatch, variable):
    class Two:
        rank, size = 1, 2

        def first(self, make):
            return make()

        def part(self): ...

    monkeypatch.setenv(variable, "1")
    alone = make_run(tmp_path)
    assert alone.memory == alone.folder
    second = make_run(tmp_path)
    second.join(Two())
    assert second.memory == second.folder / "machine-1" and second.memory.is_dir()
    assert second.pictures.root == second.folder / "pictures"
    monkeypatch.setenv(variable, "0")
    first = make_run(tmp_path)
    first.join(Two())
    assert first.memory == first.folder


def test_a_run_goes_on_with_what_it_was_made_with_and_nothing_else(tmp_path):
    run = make_run(tmp_path)
    run.made_with(policy="half a download")
    run.made_with(policy="0a1b", records="77ff")  # of which nothing has come yet
    with run.recording(Learner()):
        run.evaluate(0, world(), REQUESTS, lambda *_: outcomes(run, *["red", "blue"] * 2))
    again = make_run(tmp_path, resumed=run.folder)
    # Later code notes more of it.
    again.made_with(policy="0a1b", records="77ff", held_out="1234")
    with pytest.raises(
        ValueError,
        match=f"^{run.folder} was made with another policy \\(0a1b, now 2c3d\\); give it that "
        "again, or leave --resume out$",
    ):
        again.made_with(policy="2c3d", records="77ff")
    with pytest.raises(ValueError, match="another held_out"):
        again.made_with(held_out="5678")
    for damaged in ("{", "[1]"):
        (run.folder / "made_with.json").write_text(damaged)
        with pytest.raises(ValueError, match=r"made_with\.json is damaged"):
            again.made_with(policy="0a1b")


def test_an_evaluation_is_made_once(tmp_path):
    run = make_run(tmp_path)
    with run.recording(Learner()):
        made = run.evaluate(0, world(), REQUESTS, lambda *_: outcomes(run, *["red", "blue"] * 2))
    again = make_run(tmp_path, resumed=run.folder)
    with again.recording(Learner()):
        found = again.evaluate(0, world(), REQUESTS, lambda *_: pytest.fail("made already"))
    assert found == made
    assert logged(again, "eval/success") == [(0, 0.5)]


def test_pictures_without_a_verdict_are_judged_again_and_no_others(tmp_path, capsys):
    class Judge:
        """Knows no blue at first; is asked about everything else once."""

        def __init__(self, *unknown: str) -> None:
            self.unknown = unknown
            self.asked: list[str] = []

        def judge(self, questions) -> list[Verdict | None]:
            colors = ["red" if q.picture.name == red else "blue" for q in questions]
            self.asked += colors
            yes = Verdict(choice="yes", reason="seen", judge="j")
            return [None if color in self.unknown else yes for color in colors]

    run = make_run(tmp_path)
    red = outcomes(run, *["red"] * 4)[0].trajectory.pictures[0].name

    def judged_by(judge: Judge) -> World:
        judges = Judges(point=judge, pair=judge)  # pyright: ignore[reportArgumentType]
        return replace(world(), truth=None, judges=judges)

    first = judged_by(Judge("blue"))
    with run.recording(Learner()):
        drawn = [one.trajectory for one in outcomes(run, "red", "blue", "red", "blue")]
        made = run.evaluate(0, first, REQUESTS, lambda *_: measure(first, drawn))
    assert [one.passed for one in made] == [(True,), (None,), (True,), (None,)]
    for judge, passed in ((Judge("blue"), None), (Judge(), True), (Judge("blue"), True)):
        again = make_run(tmp_path, resumed=run.folder)
        capsys.readouterr()
        with again.recording(Learner()):
            found = again.evaluate(0, judged_by(judge), REQUESTS, lambda *_: pytest.fail("drawn"))
        assert [one.passed for one in found] == [(True,), (passed,), (True,), (passed,)]
        assert ("2 of 4 pictures have no verdict" in capsys.readouterr().out) == (passed is None)
    assert judge.asked == []  # by then all are known, and kept


def test_the_latest_states_are_kept_and_a_half_written_one_is_none(tmp_path):
    run, learner = make_run(tmp_path), Learner()
    assert run.state is None and run.saved_policy is None
    with run.recording(learner):
        take_steps(run, learner, 2)
        states = run.folder / "state"
        # What a process killed while writing leaves behind.
        (states / ".partial" / "policy").mkdir(parents=True)
        assert run.state == states / "step-000002"
        take_steps(run, learner, 3)
        assert sorted(path.name for path in states.iterdir()) == ["step-000002", "step-000003"]


def test_a_run_goes_on_from_the_state_before_a_damaged_one(tmp_path, capsys):
    run, learner = make_run(tmp_path), Learner()
    with run.recording(learner):
        take_steps(run, learner, 3)
        raise KeyboardInterrupt
    (run.folder / "state" / "step-000003" / "optimizer").write_text("1")
    again, learner = make_run(tmp_path, resumed=run.folder), Learner()
    capsys.readouterr()
    assert again.saved_policy == run.folder / "state" / "step-000002" / "policy"
    said = capsys.readouterr().out.splitlines()
    assert said == [
        f"{run.folder / 'state' / 'step-000003'} is damaged (optimizer has other bytes than were "
        "written); going on from step-000002"
    ]
    with again.recording(learner):
        assert (again.step, learner.steps) == (2, 2)
        take_steps(again, learner, 4)
    # The third step is taken twice and drawn once.
    assert [step for step, _ in logged(again, "loss")] == [1, 2, 3, 4]


def test_what_a_kill_leaves_half_recorded_is_recorded_once(tmp_path):
    run, learner = make_run(tmp_path), Learner()
    groups = [GroupRecord(attempts=(attempt_record(run),))]
    with pytest.raises(OSError, match="killed"), run.recording(learner):
        run.evaluate(0, world(), REQUESTS, lambda *_: outcomes(run, *["red", "blue"] * 2))
        for _ in run.steps(1):
            with run.update():
                learner.steps += 1
            run.log({"loss": 1.0})
            run.show(world(), groups)
            raise OSError("killed")  # before the state is kept
    again, learner = make_run(tmp_path, resumed=run.folder), Learner()
    with again.recording(learner):
        assert again.step == 0
        again.evaluate(0, world(), REQUESTS, lambda *_: pytest.fail("made already"))
        for _ in again.steps(1):
            with again.update():
                learner.steps += 1
            again.log({"loss": 1.0, "new": 2.0})
            again.show(world(), groups)
        again.conclude(outcomes(again, *["blue"] * 4), outcomes(again, *["red"] * 4))
    for name in ("loss", "new", "eval/success", "success_before"):
        assert len(logged(again, name)) == 1, name
    tags = [trace.info.tags for trace in traces_of(again)]
    assert sorted(tag.get("evaluation", "step") for tag in tags) == [
        *["after"] * 4,
        *["before"] * 4,
        "step",
    ]
    # What has changed is said of those too that an earlier process has recorded.
    changes = {tag["change"] for tag in tags if tag.get("evaluation") == "before"}
    assert changes == {"won"}


def test_an_evaluation_that_is_gone_is_not_made_of_a_later_policy(tmp_path):
    run, learner = make_run(tmp_path), Learner()
    with run.recording(learner):
        run.evaluate(0, world(), REQUESTS, lambda *_: outcomes(run, *["red"] * 4))
        take_steps(run, learner, 2)
        raise KeyboardInterrupt
    path = run.folder / "evaluation-000000.jsonl"
    whole = path.read_text()
    for content, message in (
        (None, "is gone, and the policy of step 0 has learnt since"),
        (b"\xff\xfe{}\n", "evaluation-000000.jsonl:1:"),
        (b"[" * 9999, "evaluation-000000.jsonl:1:"),
        (b'{"passed": []}\n', "evaluation-000000.jsonl:1: not a trajectory"),
    ):
        path.unlink(missing_ok=True) if content is None else path.write_bytes(content)
        again = make_run(tmp_path, resumed=run.folder)
        with pytest.raises(ValueError, match=message), again.recording(Learner()):
            again.evaluate(0, world(), REQUESTS, lambda *_: pytest.fail("asked again"))
    path.write_text(whole)
    again = make_run(tmp_path, resumed=run.folder)
    with pytest.raises(ValueError, match="of other held-out requests"), again.recording(Learner()):
        again.evaluate(0, world(), REQUESTS[:3], lambda *_: pytest.fail("asked again"))


def test_a_state_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch):
    run, learner = make_run(tmp_path), Learner()

    def full(folder: Path) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), run.recording(learner):
        take_steps(run, learner, 1)
        monkeypatch.setattr(learner, "save", full)
        take_steps(run, learner, 2)
    assert run.state is not None and run.state.name == "step-000001"
