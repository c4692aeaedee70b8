"""The main job in a world of files and endpoints: the same script, no truth, real HTTP servers."""

import hashlib
import json
import signal
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.experiments.published_layout import publish
from tests.experiments.running import history, only_run, run, start, summary_of, wait_for
from tests.judge_server import Answer, pictures_in, serving, words_in
from tests.picture_server import answering
from tests.tracking.metrics_page import undocumented

from genagent_data import PictureStore, Turn, render_turn
from genagent_miniworld import weights
from genagent_policy import Policy, PolicyConfig, SFTConfig, SFTUpdate
from genagent_worlds import read_outcomes

SCRIPT = "rl_flux.py"
SECRETS = {"PICTURES": "secret-of-the-painter-5161", "VERDICTS": "secret-of-the-judge-7283"}
TRAIN = ("two cats on a red sofa", "three red circles", "a blue square above a green triangle")
HELD_OUT = (
    {"tag": "counting", "include": [{"class": "dog", "count": 2}], "prompt": "A photo of two dogs"},
    {"tag": "counting", "include": [{"class": "cup", "count": 3}], "prompt": "A photo of 3 cups"},
    {
        "tag": "color_attr",
        "include": [{"class": "bus", "count": 1, "color": "green"}],
        "prompt": "a green bus",
    },
)
"""Sorted by kind, as the benchmark's file is; two of them are asked."""


def is_right(*pictures: Image.Image) -> bool:
    """One picture passes or not by its pixels; of two the first is better or not, likewise."""
    digest = hashlib.sha256(b"".join(picture.tobytes() for picture in pictures)).digest()
    return digest[0] % 2 == 0


def judged(body: dict, number: int) -> Answer:
    pictures = pictures_in(body)
    yes, no = ("yes", "no") if len(pictures) == 1 else ("first", "second")
    return Answer(words=f"looked closely. <verdict>{yes if is_right(*pictures) else no}</verdict>")


def options(folder: Path, tool: str, judge: str) -> list[str]:
    publish(weights("sft"), folder / "policy")
    return ["flux-7b", *world(folder, tool, judge)]


def world(folder: Path, tool: str, judge: str) -> list[str]:
    (folder / "train.txt").write_text("\n".join(TRAIN))
    (folder / "geneval.jsonl").write_text("\n".join(map(json.dumps, HELD_OUT)))
    return [
        *("--policy", "policy", "--device", "cpu", "--steps", "2"),
        *("--world.train", "train.txt", "--world.held-out", "geneval.jsonl"),
        *("--world.tool", tool, "--world.judge", judge, "--world.judge-model", "judge"),
        *("--requests-per-step", "2", "--samples", "6", "--keep", "4"),
        *("--sampling.max-turn-tokens", "96", "--grpo.learning-rate", "1e-4", "--held-out", "2"),
        *("--trajectories-every", "1", "--checkpoint-every", "1"),
    ]


def test_two_steps_with_servers_and_no_truth_resumed_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name, secret in SECRETS.items():
        monkeypatch.setenv(name, secret)
    with answering(token=SECRETS["PICTURES"]) as painter, serving(judged) as judge:
        judge.token = SECRETS["VERDICTS"]
        given = options(tmp_path, painter.url, judge.url)
        given += ["--world.tool-token-env", "PICTURES", "--world.judge-key-env", "VERDICTS"]
        process = start(SCRIPT, tmp_path, *given)
        wait_for("runs/*/state/step-000001", tmp_path, process)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        # As sent by the killed process: the second one has its verdicts and asks none again.
        asked_before = Counter(_question(body) for body in judge.requests)
        done = run(SCRIPT, tmp_path, *given, "--resume")
        assert done.returncode == 0, done.stderr
        asked = Counter(_question(body) for body in judge.requests) - asked_before
        drawn = {(body["prompt"], body.get("seed")) for body in painter.requests}

    assert "going on with" in done.stdout
    assert "judged success before and after" in done.stdout
    summary, folder = summary_of(done.stdout, tmp_path)
    assert (summary["status"], summary["steps"], summary["held_out"]) == ("finished", 2, 2)
    assert "judged_success" in summary["before"] and "success" not in summary["before"]
    assert "judged_success_after_95" in summary
    asked_of = read_outcomes(folder / "evaluation-000000.jsonl", PictureStore(folder / "pictures"))
    assert {one.request.task for one in asked_of} == {"counting", "color_attr"}
    shares = [rightly_passed(folder, step) for step in (0, 2)]
    assert [summary[when]["judged_success"] for when in ("before", "after")] == shares

    client, logged = only_run(tmp_path)
    assert logged.info.status == "FINISHED"
    assert logged.data.params["world.kind"] == "files and endpoints"
    names = set(logged.data.metrics)
    assert not {name for name in names if name.startswith("audit/")}
    assert not {name for name in names if name.split("/")[-1] in ("success", "first_success")}
    assert undocumented(names) == set()
    assert set(history(client, logged, "agent/judged_success")) == {1, 2}
    assert history(client, logged, "eval/judged_success") == dict(zip((0, 2), shares, strict=True))
    assert set(history(client, logged, "reward/pair_after_failed_first")) == {1, 2}
    assert logged.data.metrics["judge/absent"] == 0

    # A verdict that was had is in the run's folder and is not paid for twice; the two probes that
    # go ahead of each start are no verdicts.
    repeated = {question for question in asked if question in asked_before}
    assert repeated <= {question for question in asked_before if "Is this square red" in question}
    # Hints go to the judge, the file's words to the agent, pictures come from the server.
    assert any("exactly 2 dogs" in words_in(body) for body in judge.requests)
    assert any("two cats on a red sofa" in words_in(body) for body in judge.requests)
    assert len(list((folder / "pictures").rglob("*.png"))) > 8
    assert len(drawn) > 8
    learnt = Policy.load(folder / "policy").head_weight
    assert not learnt.equal(Policy.load(tmp_path / "policy").head_weight)
    assert _holders(SECRETS.values(), tmp_path, done.stdout + done.stderr) == []
    assert "PICTURES" in (folder / "config.json").read_text()


def rightly_passed(folder: Path, step: int) -> float:
    """Share of an evaluation's attempts whose last picture the judge's rule passes."""
    path = folder / f"evaluation-{step:06d}.jsonl"
    drawn = [
        one.trajectory.pictures for one in read_outcomes(path, PictureStore(folder / "pictures"))
    ]
    assert len(drawn) == 2 and any(drawn)
    return sum(bool(pictures) and is_right(pictures[-1].image) for pictures in drawn) / 2


def teach_by_heart(start: Path, target: Path) -> None:
    """A policy that has learnt two conversations, one with a picture and one with two, which it
    answers any request with."""
    rng = np.random.default_rng(0)
    noise = [Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)) for _ in range(4)]
    first = render_turn(Turn(thinking="t", tool_prompt="a"))
    again = render_turn(Turn(judgement="no", thinking="u", tool_prompt="b"))
    done = render_turn(Turn(judgement="ok", answer="c"))
    policy = PolicyConfig(policy=str(start)).load({})
    lessons = [
        policy.chat.render(turns, prompt, noise[place : place + len(turns) - 1])
        for prompt in TRAIN
        for place, turns in enumerate([(first, done), (first, again, done)])
    ]
    update = SFTUpdate(policy, SFTConfig(learning_rate=3e-3), total_steps=60)
    for _ in range(60):
        update.step(lessons)
    policy.save(target)


@pytest.mark.slow
def test_a_qwen3_vl_learns_by_the_same_command(tmp_path: Path, tiny_qwen3_path: Path):
    from transformers import AutoModelForImageTextToText

    teach_by_heart(tiny_qwen3_path, tmp_path / "policy")
    with answering() as painter, serving(judged) as judge:
        given = world(tmp_path, painter.url, judge.url)
        done = run(SCRIPT, tmp_path, "qwen3-vl-8b", *given, "--grpo.updates-per-batch", "1")
    assert done.returncode == 0, done.stderr
    summary, folder = summary_of(done.stdout, tmp_path)
    assert (summary["status"], summary["steps"], summary["held_out"]) == ("finished", 2, 2)
    assert len(painter.requests) > 8
    client, logged = only_run(tmp_path)
    ratios = history(client, logged, "policy/ratio_mean")
    assert ratios == pytest.approx({1: 1.0, 2: 1.0}, abs=1e-6)
    before = Policy.load(tmp_path / "policy").model.state_dict()
    # Plain transformers reads what was learnt.
    learnt = AutoModelForImageTextToText.from_pretrained(folder / "policy").state_dict()
    assert before.keys() == learnt.keys()
    changed = {name for name in before if not before[name].equal(learnt[name])}
    assert {"lm_head.weight", "model.language_model.layers.0.self_attn.q_norm.weight"} <= changed
    assert not any(name.startswith("model.visual.") for name in changed)


def _holders(secrets: Iterable[str], folder: Path, said: str) -> list[str]:
    """Where a secret stands in what a run wrote, its store and its pages too, or said."""
    texts = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    texts["the terminal"] = said.encode()
    return [name for name, text in texts.items() for secret in secrets if secret.encode() in text]


def _question(body: dict) -> str:
    pixels = b"".join(picture.tobytes() for picture in pictures_in(body))
    return f"{words_in(body)} {hashlib.sha256(pixels).hexdigest()}"


@pytest.mark.parametrize("preset", ["flux-7b", "qwen3-vl-8b", "flux-7b-paper"])
def test_a_preset_says_in_a_line_each_what_it_lacks(tmp_path: Path, preset: str):
    done = run(SCRIPT, tmp_path, preset)
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    missing = ("--policy", "--device", "--world.train", "--world.held-out", "--world.judge")
    for option in missing:
        assert sum(f"{option} is" in line for line in lines) == 1, (option, lines)
    assert all(line.startswith("error: ") for line in lines)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("option", "url"),
    [
        ("--world.tool", "http://me:secret-5161@h:p"),
        ("--world.judge", "http://secret-5161@127.0.0.1:9/v1"),
        ("--engine.urls", "http://me:secret-5161@127.0.0.1:9"),
    ],
)
def test_a_password_in_a_url_is_refused_and_not_repeated(tmp_path: Path, option: str, url: str):
    given = options(tmp_path, "http://127.0.0.1:9", "http://127.0.0.1:9/v1")
    done = run(SCRIPT, tmp_path, *given, option, url)
    assert done.returncode == 2
    assert "has credentials" in done.stderr or "cannot be used" in done.stderr
    assert _holders(["secret-5161"], tmp_path, done.stdout + done.stderr) == []


def test_what_cannot_be_used_is_said_before_anything_loads(tmp_path: Path):
    with serving(Answer(words="cannot read images", status=400)) as blind:
        given = options(tmp_path, "http://127.0.0.1:9", blind.url)
        done = run(SCRIPT, tmp_path, *given)
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 2, lines
    assert "http://127.0.0.1:9" in lines[0]
    assert blind.url in lines[1] and "cannot read images" in lines[1]
    assert not (tmp_path / "runs").exists()
