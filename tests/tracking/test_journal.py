"""What a run records: in MLflow, in its folder, in the terminal."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from tests.tracking.a_run import (
    REQUESTS,
    Learner,
    RedIsRight,
    attempt,
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

from genagent_data import Request, Round
from genagent_rewards import RewardRecord, hybrid_reward
from genagent_tracking import Run
from genagent_tracking.step_figures import read_figures
from genagent_worlds import (
    AttemptRecord,
    GroupRecord,
    Outcome,
    groups_file,
    judge_outcomes,
    read_groups,
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


@pytest.mark.parametrize(
    ("source", "figures", "assessment"),
    [
        ("truth", {"success", "first_success", "judged_success"}, "actual success"),
        ("judge", {"judged_success", "first_judged_success"}, "judge passed"),
    ],
)
def test_success_is_called_by_who_has_found_it_in_figures_and_in_traces(
    tmp_path, source, figures, assessment
):
    run, asked_in = make_run(tmp_path), world(truth=source == "truth")

    def found(*colors: str) -> list[Outcome]:
        return [replace(one, source=source) for one in outcomes(run, *colors)]

    with run.recording(Learner()):
        before = run.evaluate(0, asked_in, REQUESTS, lambda *_: found("red", *["blue"] * 3))
        after = run.evaluate(3, asked_in, REQUESTS, lambda *_: found(*["red"] * 3, "blue"))
        run.conclude(before, after)
    names = set(MlflowClient(run.tracker.uri).get_run(run.tracker.run_id).data.metrics)
    assert {name for name in names if name.startswith("eval/") and "success" in name} == {
        f"eval/{name}" for name in figures
    }
    said = Counter(
        (trace.info.tags["evaluation"], one.name, one.feedback.value)
        for trace in traces_of(run)
        for one in trace.info.assessments
        if one.feedback
    )
    assert said == {
        ("before", assessment, True): 1,
        ("before", assessment, False): 3,
        ("after", assessment, True): 3,
        ("after", assessment, False): 1,
    }


def test_an_evaluation_says_how_the_agent_went_about_it(tmp_path):
    run = make_run(tmp_path)
    with run.recording(Learner()):
        run.evaluate(0, world(), REQUESTS, lambda *_: outcomes(run, "red", *["blue"] * 3))
    # The prompt "p" is three words from "a red circle".
    assert logged(run, "eval/first_prompt_near") == [(0, 1.0)]
    assert logged(run, "eval/broken_turns") == [(0, 0.0)]


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
