"""The main job in the miniature: a process of its own, its outputs, its errors."""

import json
import signal

import pytest
from tests.experiments.running import (
    history,
    only_run,
    run,
    start,
    summary_of,
    wait_for,
)
from tests.tracking.metrics_page import documented, undocumented

from genagent_miniworld import weights
from genagent_policy import Policy

SCRIPT = "rl_flux.py"


FULL_DISK = ("sh", "-c", 'ulimit -f 6000; exec "$@"', "sh")
"""Writing past 3 MB (6,000 blocks of 512 bytes) fails, as on a full disk: a policy has 5 MB."""


@pytest.mark.slow
def test_a_short_run_learns_logs_and_can_be_run_again_from_its_config(tmp_path):
    done = run(SCRIPT, tmp_path, "smoke", "--seed", "3")
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stdout + done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    summary, folder = summary_of(done.stdout, tmp_path)
    assert (summary["seed"], summary["steps"], summary["held_out"]) == (3, 2, 20)
    assert summary["status"] == "finished"
    assert 50_000 < (folder / "report.html").stat().st_size < 3_500_000
    for name in ("before", "after"):
        lines = (folder / f"{name}.jsonl").read_text().splitlines()
        held_out = [json.loads(line) for line in lines]
        successes = [one["success"] for one in held_out]
        assert (len(successes), sum(successes) / 20) == (20, summary[name]["success"])
        last = [one["pictures"][-1] for one in held_out if one["pictures"]]
        assert {one["truth"]["right"] for one in last} == {True, False}
        assert all("exactly" in one["truth"]["reason"] or one["truth"]["right"] for one in last)
        judged = [one["judge"]["right"] for one in last]
        assert None not in judged and all(one["judge"]["reason"] for one in last)
    client, logged = only_run(tmp_path)
    assert logged.info.status == "FINISHED"
    assert logged.data.params["grpo.clip_low"] == "0.2"
    assert logged.data.params["reward.single_round"] == "if_passed"
    assert logged.data.params["world.kind"] == "miniature"
    for name in (
        "agent/reward",
        "reward/pair",
        "reward/pair_after_failed_first",
        "audit/reward_gap",
        "agent/success",
        "agent/first_success",
        "agent/rounds",
        "policy/ratio_max",
        "policy/entropy",
        "policy/grad_norm",
        "seconds/tool",
        "seconds/reward",
        "throughput/trained_tokens_per_second",
    ):
        assert list(history(client, logged, name)) == [1, 2], name
    assert undocumented(logged.data.metrics) == set()
    # A share of nothing is left out, so two steps of four requests need not have every one.
    sometimes = {name for name in documented() if name.startswith("audit/") or "<" in name}
    expected = set(documented(elsewhere=False)) - sometimes
    assert expected <= logged.data.metrics.keys()
    assert "agent/judged_success" not in logged.data.metrics
    # On-policy: one update a batch, so the ratio is 1 up to float32.
    ratios = history(client, logged, "policy/ratio_max").values()
    assert all(abs(ratio - 1) < 1e-3 for ratio in ratios)
    assert history(client, logged, "eval/success") == {
        0: summary["before"]["success"],
        2: summary["after"]["success"],
    }
    learnt = Policy.load(tmp_path / summary["policy"]).head_weight
    assert not learnt.equal(Policy.load(weights("sft")).head_weight)

    again = run(SCRIPT, tmp_path, str(folder / "config.json"))
    assert again.returncode == 0, again.stderr
    repeated, _ = summary_of(again.stdout, tmp_path)
    assert repeated["before"] == summary["before"]
    assert repeated["after"] == summary["after"]


@pytest.mark.slow
def test_options_of_the_update_go_together_and_are_measured(tmp_path):
    small = ["--steps", "2", "--requests-per-step", "4", "--samples", "3", "--keep", "2"]
    options = [
        *("--grpo.importance-sampling-level", "sequence", "--grpo.dual-clip", "3"),
        *("--grpo.normalization", "constant", "--grpo.constant-length", "200"),
        *("--grpo.scale-rewards", "none", "--grpo.mask-truncated", "--grpo.kl-beta", "0.05"),
        *("--dynamic-sampling", "2", "--sampling.max-turn-tokens", "40"),
    ]
    done = run(SCRIPT, tmp_path, "smoke", "--held-out", "2", *small, *options)
    assert done.returncode == 0, done.stderr
    client, logged = only_run(tmp_path)
    assert undocumented(logged.data.metrics) == set()
    curves = {name: history(client, logged, name) for name in logged.data.metrics}
    figures = {name: curve[1] for name, curve in curves.items() if 1 in curve}
    # The policy is where it began, and a ratio of 1 is not bounded; then it has moved.
    apart = curves["policy/reference_kl"]
    assert apart[1] == pytest.approx(0, abs=1e-6)
    assert apart[2] > 1e-6
    assert figures["policy/dual_clip_fraction"] == 0
    # Of 40 tokens a turn is cut off more often than not.
    assert figures["policy/masked_trajectories"] >= 1
    # Two of three attempts kept, most of them cut off: some groups have equal rewards.
    assert figures["rollout/replaced_groups"] >= 1
    [path] = tmp_path.rglob("groups-000001.jsonl")
    rows = [json.loads(line)["attempts"] for line in path.read_text().splitlines()]
    asked = [row[0]["request"]["id"] for row in rows]
    assert len(set(asked)) == len(asked) == 4 + figures["rollout/replaced_groups"]
    assert logged.data.params["grpo.scale_rewards"] == "none"
    assert logged.data.params["groups.dynamic_sampling"] == "2"


@pytest.mark.slow
def test_options_of_the_reward_go_together_and_are_measured(tmp_path):
    small = ["--steps", "1", "--requests-per-step", "4", "--samples", "3", "--keep", "3"]
    options = [
        *("--reward.anchored", "--reward.peak", "0.3", "--reward.retention", "-0.3"),
        *("--reward.efficiency", "-0.05", "--reward.assessment", "0.1", "--shared-first", "0.5"),
    ]
    done = run(SCRIPT, tmp_path, "smoke", "--held-out", "2", *small, *options)
    assert done.returncode == 0, done.stderr
    _, logged = only_run(tmp_path)
    figures = logged.data.metrics
    assert undocumented(figures) == set()
    assert (figures["rollout/anchors"], figures["rollout/anchor_failures"]) == (4, 0)
    assert figures["seconds/anchors"] > 0
    # Two of four groups, less what broke the protocol in its first turn.
    assert figures["rollout/shared_first"] in (0.25, 0.5)
    [path] = tmp_path.rglob("groups-000001.jsonl")
    groups = [json.loads(line)["attempts"] for line in path.read_text().splitlines()]
    first = [{one["rounds"][0]["picture"] for one in group if one["rounds"]} for group in groups]
    assert sum(len(pictures) == 1 for pictures in first) >= 2
    paid = [one["reward"]["breakdown"] for group in groups for one in group]
    for name in ("peak", "retention", "efficiency", "assessment"):
        earned = [one[name] for one in paid if one[name] is not None]
        assert figures[f"reward/{name}"] == pytest.approx(sum(earned) / len(earned))
    assert figures["reward/peak"] > 0
    drawn = [one for group in groups for one in group if one["rounds"]]
    beaten = [one["reward"]["pair_verdicts"][0]["win"] for one in drawn]
    assert figures["reward/anchor_beaten"] == pytest.approx(sum(beaten) / len(beaten))
    for group, pictures in zip(groups, first, strict=True):
        assert any(one["shared_first"] for one in group) <= (len(pictures) == 1)
        for one in group:
            indices = [pair["index"] for pair in one["reward"]["pair_verdicts"]]
            assert indices == list(range(-1, len(one["rounds"]) - 1))
            assert len(one["reward"]["picture_verdicts"]) == len(one["rounds"])


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_cleanly_with_what_was_learnt(tmp_path, number, code):
    process = start(SCRIPT, tmp_path, "smoke", "--steps", "500", "--held-out", "4")
    wait_for("runs/*/state/step-*[1-9]", tmp_path, process)
    process.send_signal(number)
    try:
        output, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    summary, folder = summary_of(output, tmp_path)
    assert summary["status"] == "killed"
    assert 1 <= summary["steps"] < 500
    # The last whole step's weights, not those of the step that was broken off.
    state = max(folder.glob("state/step-*"))
    assert int(state.name.removeprefix("step-")) == summary["steps"]
    saved = Policy.load(state / "policy").head_weight
    assert Policy.load(tmp_path / summary["policy"]).head_weight.equal(saved)
    assert only_run(tmp_path)[1].info.status == "KILLED"


def test_sigterm_while_it_loads_is_one_line_and_143(tmp_path):
    process = start(SCRIPT, tmp_path, "smoke")
    assert process.stdout is not None
    assert process.stdout.readline() == "loading\n"
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    assert errors == "error: stopped before anything had begun\n"
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_weights_in_the_same_mlflow_run(tmp_path):
    options = ["smoke", "--steps", "4", "--requests-per-step", "4", "--samples", "4", "--keep", "3"]
    options += ["--held-out", "4", "--evaluate-every", "2", "--keep-every", "2"]
    unbroken, killed = tmp_path / "unbroken", tmp_path / "killed"
    unbroken.mkdir()
    killed.mkdir()
    process = start(SCRIPT, killed, *options)
    wait_for("runs/*/state/step-000002", killed, process)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    heads, kept = [], []
    for folder, said in ((unbroken, "nothing to go on with"), (killed, "going on with")):
        done = run(SCRIPT, folder, *options, "--resume")
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
        summary, _ = summary_of(done.stdout, folder)
        assert summary["steps"] == 4
        found = sorted((folder / summary["policy"]).with_name("policies").iterdir())
        assert [one.name for one in found] == ["step-000002", "step-000004"]
        kept.append(Policy.load(found[0]).head_weight)
        heads.append(Policy.load(folder / summary["policy"]).head_weight)
    assert heads[0].equal(heads[1])
    assert kept[0].equal(kept[1]) and not kept[0].equal(heads[0])
    notes = [json.loads(path.read_text()) for path in tmp_path.glob("*/runs/*/made_with.json")]
    assert notes[0] == notes[1] and notes[0].keys() == {"policy", "requests", "held_out"}
    client, logged = only_run(killed)
    assert logged.info.status == "FINISHED"
    assert set(history(client, logged, "agent/reward")) == {1, 2, 3, 4}
    # The first evaluation was kept and not made again.
    evaluations = client.get_metric_history(logged.info.run_id, "eval/success")
    assert [point.step for point in evaluations] == [0, 2, 4]


@pytest.mark.slow
def test_sampling_a_step_ahead_stops_cleanly_and_goes_on_to_the_same_weights(tmp_path):
    options = ["smoke", "--steps", "3", "--requests-per-step", "4", "--samples", "4", "--keep", "3"]
    options += ["--held-out", "2", "--one-step-off", "--grpo.truncate-at", "2"]
    options += ["--evaluate-every", "2"]
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    unbroken.mkdir()
    broken.mkdir()
    process = start(SCRIPT, broken, *options)
    wait_for("runs/*/state/step-000001", broken, process)
    process.send_signal(signal.SIGINT)
    try:
        _, errors = process.communicate(timeout=200)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert "Traceback" not in errors and "Error" not in errors
    learnt = []
    for folder in (broken, unbroken):
        done = run(SCRIPT, folder, *options, "--resume")
        assert done.returncode == 0, done.stderr
        summary, _ = summary_of(done.stdout, folder)
        assert summary["steps"] == 3
        learnt.append(Policy.load(folder / summary["policy"]).head_weight)
        client, logged = only_run(folder)
        assert history(client, logged, "rollout/staleness") == {1: 0, 2: 1, 3: 1}
        assert undocumented(logged.data.metrics) == set()
        apart = history(client, logged, "mismatch/logprob")
        assert apart[1] < 1e-5 < apart[2]
    assert learnt[0].equal(learnt[1])
    assert not learnt[0].equal(Policy.load(weights("sft")).head_weight)


@pytest.mark.slow
def test_a_full_disk_is_one_clear_line_and_leaves_nothing_half_written(tmp_path):
    done = run(SCRIPT, tmp_path, "smoke", "--held-out", "4", under=FULL_DISK)
    assert done.returncode == 1, done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("error: ")
    assert "policy" in done.stderr
    assert "Traceback" not in done.stderr
    [folder] = (tmp_path / "runs").iterdir()
    left = sorted(path.name for path in folder.iterdir())
    assert left == [
        *("before.jsonl", "config.json", "drawn.sqlite", "evaluation-000000.jsonl"),
        *("failure.json", "groups-000001.jsonl", "lock", "made_with.json", "metrics.jsonl"),
        *("mlflow_run", "pictures", "report.html", "state", "verdicts.sqlite"),
    ]
    assert "policy" in json.loads((folder / "failure.json").read_text())["error"]
    assert not list(folder.glob("state/step-*"))
    assert only_run(tmp_path)[1].info.status == "FAILED"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["flux-9000"], "unknown preset 'flux-9000'"),
        (["--no-such-option", "1"], "no-such-option"),
        (["--samples", "4"], "cannot keep 8 of 4 samples"),
        (["--requests-per-step", "6"], "6 does not divide into 4 updates"),
        (["--sampling.temperature", "0"], "sampling.temperature is 0"),
        (["--one-step-off"], "one_step_off learns from older samples"),
        (["smoke", "--policy", "nowhere"], "no policy 'nowhere'"),
        (["smoke", "--world.train", "broken.jsonl"], "broken.jsonl:2: not JSON"),
        (["smoke", "--world.train", "sofa.txt"], "take the preset flux-7b"),
        (["smoke", "--world.train", "gone.jsonl"], "gone.jsonl"),
        (["smoke", "--policy", "damaged"], "damaged/model.safetensors: has "),
        (["missing.json"], "missing.json"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_2(tmp_path, options, message):
    (tmp_path / "broken.jsonl").write_text('{"prompt": "two red circles"}\n{"prompt": \n')
    (tmp_path / "sofa.txt").write_text("two cats on a red sofa\n")
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for path in weights("sft").iterdir():
        content = path.read_bytes()
        (damaged / path.name).write_bytes(
            content[: len(content) // 2] if path.suffix == ".safetensors" else content
        )
    done = run(SCRIPT, tmp_path, *options)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.parametrize("option", ["--lr", "--grpo.lr"])
def test_the_learning_rate_has_its_short_names(tmp_path, option):
    done = run(SCRIPT, tmp_path, option, "-1")
    assert done.returncode == 2
    assert "learning_rate is -1.0" in done.stderr


def test_an_option_of_nearly_the_right_name_is_told_the_right_one(tmp_path):
    done = run(SCRIPT, tmp_path, "--grpo.learning-rte", "1e-4")
    assert done.returncode == 2
    assert "--grpo.learning-rate" in done.stderr
