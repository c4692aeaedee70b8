"""A run: what it keeps, what it goes on from, and how it ends."""

import json
import os
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Trace
from PIL import Image

from genagent_data import PictureStore, Request, Round, Trajectory
from genagent_rewards import RewardRecord, Verdict, hybrid_reward
from genagent_tracking import Run, RunConfig, TrackerConfig
from genagent_tracking.failure import read_failure
from genagent_tracking.interrupt import Terminated
from genagent_tracking.run_note import NOTE
from genagent_tracking.step_figures import read_figures
from genagent_worlds import (
    AttemptRecord,
    GroupRecord,
    Judges,
    Outcome,
    World,
    groups_file,
    judge_outcomes,
    read_groups,
)

REQUESTS = [Request(id=str(number), prompt="a red circle", task="color") for number in range(4)]


class Learner:
    """Counts its steps, in a file."""

    def __init__(self) -> None:
        self.steps = 0

    def save(self, folder: Path) -> None:
        (folder / "policy").mkdir()
        (folder / "policy" / "weights").write_text(str(self.steps))
        (folder / "optimizer").write_text(str(self.steps))

    def restore(self, folder: Path) -> None:
        self.steps = int((folder / "optimizer").read_text())


class RedIsRight:
    """Passes what is red."""

    def judge(self, questions) -> list[Verdict | None]:
        return [
            Verdict(
                choice="yes" if q.picture.image.getpixel((0, 0)) == (255, 0, 0) else "no",
                reason="",
                judge="red",
            )
            for q in questions
        ]

    def compare(self, questions):
        raise AssertionError("nobody asks for pairs here")


class NoTool:
    def generate(self, prompts, seeds):
        raise AssertionError("nothing is drawn here")


def world(*, truth: bool = True) -> World:
    judges = Judges(point=RedIsRight(), pair=RedIsRight())
    return World(
        train=None,  # pyright: ignore[reportArgumentType] (nobody samples here)
        held_out=tuple(REQUESTS),
        tool=NoTool(),
        judges=judges,
        truth=judges if truth else None,
    )


def config(folder: Path) -> RunConfig:
    tracker = TrackerConfig(uri=f"sqlite:///{folder / 'mlflow.db'}", system_seconds=0)
    return RunConfig(runs=folder / "runs", tracker=tracker, trajectories_every=2)


def make_run(folder: Path, *, resumed: Path | None = None) -> Run:
    return Run("job", config(folder), config(folder), folder=resumed)


def attempt(request: Request, color: str, pictures: PictureStore) -> Trajectory:
    picture = pictures.put(Image.new("RGB", (8, 8), color))
    rounds = (Round(thinking="t", tool_prompt="p", picture=picture),)
    return Trajectory(request=request, rounds=rounds, ending="answer", answer="done")


def outcomes(run: Run, *colors: str) -> list[Outcome]:
    return [
        Outcome(
            trajectory=attempt(request, color, run.pictures),
            passed=(color == "red",),
            source="truth",
        )
        for request, color in zip(REQUESTS, colors, strict=True)
    ]


def logged(run: Run, name: str) -> list[tuple[int, float]]:
    points = MlflowClient(run.tracker.uri).get_metric_history(run.tracker.run_id, name)
    return [(point.step, point.value) for point in points]


def take_steps(
    run: Run, learner: Learner, total: int, *, broken_at: int | None = None, in_update: bool = False
) -> None:
    for step in run.steps(total):
        with run.update():
            learner.steps += 1
            if in_update and step == broken_at:
                raise KeyboardInterrupt
        with run.timed("thinking"):
            pass
        run.log({"loss": float(step)}, {"extra": 1.0})
        if step == broken_at:
            raise KeyboardInterrupt


def status(run: Run) -> str:
    return MlflowClient(run.tracker.uri).get_run(run.tracker.run_id).info.status


def note(run: Run) -> str:
    return MlflowClient(run.tracker.uri).get_run(run.tracker.run_id).data.tags[NOTE]


def attempt_record(run: Run) -> AttemptRecord:
    return AttemptRecord(
        trajectory=attempt(REQUESTS[0], "red", run.pictures),
        turns=("<think>t</think>", "<judge>j</judge>"),
        record=RewardRecord(breakdown=None, point_verdict=None),
    )


def traces_of(run: Run) -> list[Trace]:
    client = MlflowClient(run.tracker.uri)
    return list(
        client.search_traces(locations=[run.tracker.experiment_id], run_id=run.tracker.run_id)
    )


def test_a_run_bears_its_folders_name_and_what_was_changed(tmp_path):
    run = Run("job", config(tmp_path), config(tmp_path), changes="steps 8")
    with run.recording(Learner()):
        assert note(run).startswith("**Running**")
    named = MlflowClient(run.tracker.uri).get_run(run.tracker.run_id).info.run_name
    assert named == f"steps 8 · {run.folder.name}"


def test_a_run_that_failed_says_where_and_why(tmp_path):
    run, learner = make_run(tmp_path), Learner()
    with pytest.raises(OSError, match="disk full"), run.recording(learner):
        run.evaluate(0, world(), REQUESTS, lambda *_: outcomes(run, "red", *["blue"] * 3))
        take_steps(run, learner, 2)
        raise OSError("[disk full]\nhere")
    said = note(run)
    assert said.startswith(
        "**Failed after step 2**: OSError: \\[disk full\\] here\n\n"
        "`uv run experiments/job.py … --resume`, with its options, goes on with it."
    )
    assert "- after 0 steps: success 25.0 % \\[4.6, 69.9\\] of 4 requests" in said


def test_a_finished_run_has_its_figures_and_its_policy(tmp_path, capsys):
    run, learner = make_run(tmp_path), Learner()
    with run.recording(learner):
        before = run.evaluate(0, world(), REQUESTS, lambda *_: outcomes(run, "red", *["blue"] * 3))
        take_steps(run, learner, 3)
        after = run.evaluate(3, world(), REQUESTS, lambda *_: outcomes(run, *["red"] * 4))
        run.conclude(before, after)
    summary = json.loads((run.folder / "summary.json").read_text())
    assert (summary["status"], summary["steps"], summary["seed"]) == ("finished", 3, 0)
    assert (summary["before"]["success"], summary["after"]["success"]) == (0.25, 1.0)
    assert summary["p_value"] == 0.25
    assert Path(summary["policy"], "weights").read_text() == "3"
    assert (run.folder / "before_after.png").exists()
    assert logged(run, "loss") == [(1, 0.0), (2, 1.0), (3, 2.0)]
    assert [step for step, _ in logged(run, "seconds/thinking")] == [1, 2, 3]
    assert logged(run, "eval/success") == [(0, 0.25), (3, 1.0)]
    assert logged(run, "eval/false_accept") == [(0, 0.0)]  # afterwards nothing failed
    assert status(run) == "FINISHED"
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[-1] == str(run.folder / "summary.json")
    assert any("paired exact McNemar test: p = 0.25" in line for line in lines)
    assert "success 25.0 % [4.6, 69.9] of 4 requests" in lines
    begin = lines.index("next:")
    ask, policy, report, pages, page, runs = (line.strip() for line in lines[begin + 1 : -1])
    assert report == f"report: {run.folder / 'report.html'}"
    assert "100 %</span>" in (run.folder / "report.html").read_text()
    assert read_figures(run.folder)["loss"] == {1: 0.0, 2: 1.0, 3: 2.0}
    held_out = [
        [json.loads(line)["success"] for line in (run.folder / name).read_text().splitlines()]
        for name in ("before.jsonl", "after.jsonl")
    ]
    assert held_out == [[True, False, False, False], [True] * 4]
    assert ask == "uv run experiments/generate.py 'a red circle' \\"
    assert policy == f"--policy {run.folder / 'policy'}"
    assert pages.startswith("uv run mlflow ui --backend-store-uri sqlite:////")
    assert page.endswith(f"/#/experiments/{run.tracker.experiment_id}/runs/{run.tracker.run_id}")
    experiment = run.tracker.experiment_id
    assert runs.endswith(f"/#/experiments/{experiment}/runs?viewStateShareKey=results")
    assert logged(run, "success_before") == [(0, 0.25)]
    assert logged(run, "success_after") == [(3, 1.0)]
    said = note(run).replace("\u00a0", "")
    assert said.startswith(
        "**success 25.0 % → 100.0 % of 4 held-out requests (paired test: p = 0.25)**"
    )
    assert "| task | n | before | after | first before | first after |" in said
    assert f"`{run.folder}`" in said


def test_a_trial_ends_with_one_line_and_keeps_its_figures(tmp_path, capsys):
    trial = replace(config(tmp_path), trial=True)
    run, learner = Run("job", trial, trial), Learner()
    with run.recording(learner):
        before = run.evaluate(0, world(), REQUESTS, lambda *_: outcomes(run, *["blue"] * 4))
        run.table("manners", "what was said", [{"said": "please"}])
        take_steps(run, learner, 2)
        run.conclude(before, outcomes(run, *["red"] * 4))
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[-2:] == [
        "it works; 2 steps prove nothing; next: uv run experiments/job.py",
        str(run.folder / "summary.json"),
    ]
    assert not [line for line in lines if "%" in line or "please" in line or line == "next:"]
    assert json.loads((run.folder / "summary.json").read_text())["after"]["success"] == 1.0
    kept = MlflowClient(run.tracker.uri).list_artifacts(run.tracker.run_id)
    assert {"held_out.json", "manners.json"} <= {one.path for one in kept}


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


def test_the_seconds_of_a_step_add_up(tmp_path):
    run, learner = make_run(tmp_path), Learner()
    with run.recording(learner):
        for _ in run.steps(1):
            with run.update():
                learner.steps += 1
            for _ in range(3):
                with run.timed("thinking"):
                    time.sleep(0.02)
            run.log()
    [(step, seconds)] = logged(run, "seconds/thinking")
    assert step == 1
    assert 0.06 <= seconds < 10


def test_an_experiments_own_table_and_figures_are_kept_with_it(tmp_path, capsys):
    run = make_run(tmp_path)
    with run.recording(Learner()):
        run.table("manners", "what was said", [{"said": "please", "n": "3"}])
        run.conclude(outcomes(run, *["blue"] * 4), outcomes(run, *["red"] * 4), {"please": 3})
    summary = json.loads((run.folder / "summary.json").read_text())
    assert (summary["please"], summary["after"]["success"]) == (3, 1.0)
    shown = capsys.readouterr().out
    assert "what was said" in shown
    assert "please" in shown
    client = MlflowClient(run.tracker.uri)
    assert "manners.json" in [kept.path for kept in client.list_artifacts(run.tracker.run_id)]


def test_held_out_requests_are_traces_before_and_after_and_no_more_than_forty(tmp_path):
    run = make_run(tmp_path)
    asked = [Request(id=str(n), prompt=f"circle {n}", task="color") for n in range(60)]

    def answered(red: set[int]) -> list[Outcome]:
        drawn = [
            attempt(one, "red" if n in red else "blue", run.pictures) for n, one in enumerate(asked)
        ]
        return judge_outcomes(drawn, RedIsRight(), source="truth")

    with run.recording(Learner()):
        before = run.evaluate(0, world(), asked, lambda *_: answered(set(range(10))))
        # Of the first twenty one is won and one lost, and all beyond the thirtieth are won.
        after = run.evaluate(
            3, world(), asked, lambda *_: answered({*range(1, 11), *range(30, 60)})
        )
        run.conclude(before, after)
    client = MlflowClient(run.tracker.uri)
    traces = client.search_traces(
        locations=[run.tracker.experiment_id], run_id=run.tracker.run_id, max_results=500
    )
    found = {"before": {}, "after": {}}
    for trace in traces:
        found[trace.info.tags["evaluation"]][trace.info.tags["request"]] = trace
    assert len(traces) == 80
    assert (
        set(found["before"])
        == set(found["after"])
        == {*map(str, range(20)), *map(str, range(30, 50))}
    )
    assert [found["before"]["0"].info.tags[name] for name in ("step", "change")] == ["0", "lost"]
    assert [found["after"]["10"].info.tags[name] for name in ("task", "change")] == ["color", "won"]
    for name in ("0", "30"):
        one, now = (found[when][name].data.spans[0] for when in ("before", "after"))
        assert one.inputs == now.inputs


def test_an_evaluation_says_how_the_agent_went_about_it(tmp_path):
    run = make_run(tmp_path)
    with run.recording(Learner()):
        run.evaluate(0, world(), REQUESTS, lambda *_: outcomes(run, "red", *["blue"] * 3))
    # The prompt "p" is three words from "a red circle".
    assert logged(run, "eval/first_prompt_near") == [(0, 1.0)]
    assert logged(run, "eval/broken_turns") == [(0, 0.0)]


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


def test_sigterm_keeps_the_same_and_ends_with_143(tmp_path):
    run, learner = make_run(tmp_path), Learner()
    with pytest.raises(SystemExit) as ended, run.recording(learner):
        take_steps(run, learner, 2)
        raise Terminated
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


def test_an_evaluation_is_made_once(tmp_path):
    run = make_run(tmp_path)
    with run.recording(Learner()):
        made = run.evaluate(0, world(), REQUESTS, lambda *_: outcomes(run, *["red", "blue"] * 2))
    again = make_run(tmp_path, resumed=run.folder)
    with again.recording(Learner()):
        found = again.evaluate(0, world(), REQUESTS, lambda *_: pytest.fail("made already"))
    assert found == made
    assert logged(again, "eval/success") == [(0, 0.5)]


def test_what_an_evaluation_could_not_find_out_is_said_and_logged(tmp_path, capsys):
    run = make_run(tmp_path)

    def partly(*_: object) -> list[Outcome]:
        good, bad, *unknown = outcomes(run, *["red", "blue"] * 2)
        failed = replace(
            unknown[0].trajectory,
            rounds=(Round(thinking="t", tool_prompt="p", picture=None),),
            ending="tool_failure",
            error="500: no [memory]",
        )
        return [
            good,
            bad,
            Outcome(trajectory=failed, passed=(), source="judge"),
            Outcome(
                trajectory=unknown[1].trajectory, passed=(None,), source="judge", why_absent="blind"
            ),
        ]

    with run.recording(Learner()):
        run.evaluate(0, world(), REQUESTS, partly)
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "1 of 4 attempts were ended by the tool, which failed (the last: 500: no [memory]); they "
        "count neither as success nor as failure"
    ) in said
    assert "1 of 3 pictures have no verdict (the last: blind); they count neither" in said
    assert logged(run, "eval/success") == [(0, 0.5)]
    assert logged(run, "eval/tool_failures") == [(0, 0.25)]


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


def test_a_state_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch):
    run, learner = make_run(tmp_path), Learner()

    def full(folder: Path) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), run.recording(learner):
        take_steps(run, learner, 1)
        monkeypatch.setattr(learner, "save", full)
        take_steps(run, learner, 2)
    assert run.state is not None and run.state.name == "step-000001"


@pytest.mark.parametrize("truth", [True, False])
def test_trajectories_are_shown_with_the_truth_where_it_is_known(tmp_path, truth):
    run, learner = make_run(tmp_path), Learner()
    breakdown = hybrid_reward(point_passed=True, pair_wins=[], format_error=False)
    record = RewardRecord(breakdown=breakdown, point_verdict=None)
    with run.recording(learner):
        attempts = tuple(
            AttemptRecord(
                trajectory=attempt(REQUESTS[0], color, run.pictures),
                turns=("<think>t</think>", "<judge>j</judge>"),
                record=record,
                advantage=0.0,
            )
            for color in ("red", "blue")
        )
        for _ in run.steps(3):
            with run.update():
                pass
            run.log({})
            run.show(world(truth=truth), [GroupRecord(attempts=attempts)])
    traces = MlflowClient(run.tracker.uri).search_traces(
        locations=[run.tracker.experiment_id], run_id=run.tracker.run_id
    )
    # Of three steps the first and the third.
    assert sorted(trace.info.tags["step"] for trace in traces) == ["1", "1", "3", "3"]
    said = [
        a.feedback.value
        for trace in traces
        for a in trace.info.assessments
        if a.name == "actual success" and a.feedback
    ]
    assert sorted(said, key=str) == ([False, False, True, True] if truth else [])
    assert sorted(path.name for path in run.folder.glob("groups-*")) == [
        "groups-000001.jsonl",
        "groups-000003.jsonl",
    ]
    [group] = read_groups(groups_file(run.folder, 3), run.pictures)
    told = [one.true_success for one in group.attempts]
    assert told == ([True, False] if truth else [None, None])
