"""A run that is killed at any moment, and again, ends as if nobody had touched it.

``GENAGENT_KILLS=20`` kills it that often, with the tool and the judge in the run's own process and
behind servers in turn; a few times by default.
"""

import hashlib
import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.experiments.running import only_run, start, summary_of
from tests.judge_server import Answer, pictures_in, serving, words_in
from tests.picture_server import answering, as_base64, paint, picture_answer

SCRIPT = "rl_flux.py"
KILLS = int(os.environ.get("GENAGENT_KILLS", "4"))
STEPS = 3 + KILLS // 2
"""So many that it has not ended before the last kill."""
SMALL = [
    *("smoke", "--steps", str(STEPS), "--requests-per-step", "2", "--samples", "3", "--keep", "2"),
    *("--held-out", "2", "--sampling.max-turn-tokens", "64"),
]
ONE_AT_A_TIME = ["--sampling.max-batch", "1"]
"""A pass over one conversation gives the same to the last bit whoever else is waiting; servers
answer in any order."""
ON_ITS_WAY = 1.0
"""Seconds in which an answer that was sent has not reached the disk yet, on a machine at work."""
CLOCK = ("seconds/", "throughput/")
BILLS = ("judge/", "tool/")
"""What these add up to is told between asked and found, and between processes."""


class Bill:
    """What servers were asked for, and when."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, float]] = []

    def paid_twice(self, kills: list[float]) -> list[str]:
        """What was asked for again though its answer was there, and no kill had caught it."""
        last: dict[str, float] = {}
        twice = []
        for key, when in self.asked:
            caught = key in last and any(0 <= kill - last[key] < ON_ITS_WAY for kill in kills)
            if key in last and not caught:
                twice.append(key)
            last[key] = when
        return twice


@contextmanager
def services(bill: Bill) -> Iterator[list[str]]:
    """Options of an image server and a judge that write down what they are asked."""

    def draw(body: dict[str, Any], number: int):
        if body["prompt"] != "a red circle on a white background":  # a probe, at each start
            bill.asked.append((f"picture {body['prompt']} {body['seed']}", time.monotonic()))
        picture = paint(body["prompt"], body["seed"]).resize((48, 48))  # as the truth reads them
        return picture_answer(body["prompt"], body["seed"], b64_json=as_base64(picture))

    def judge(body: dict[str, Any], number: int) -> Answer:
        pixels = b"".join(picture.tobytes() for picture in pictures_in(body))
        digest = hashlib.sha256(pixels).digest()
        if "Is this square red" not in words_in(body):
            bill.asked.append((f"verdict {words_in(body)} {digest.hex()}", time.monotonic()))
        choices = ("yes", "no") if len(pictures_in(body)) == 1 else ("first", "second")
        return Answer(words=f"looked closely. <verdict>{choices[digest[0] % 2]}</verdict>")

    with answering(draw) as painter, serving(judge) as server:
        yield [
            *("--world.tool", painter.url, "--world.judge", server.url),
            *("--world.judge-model", "judge", *ONE_AT_A_TIME),
        ]


def to_the_end(folder: Path, options: list[str]) -> str:
    """Standard output of a run that is left alone."""
    process = start(SCRIPT, folder, *options)
    try:
        output, errors = process.communicate(timeout=1200)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    return output


def until(seen: Callable[[], bool], process: subprocess.Popen[str], *, seconds: float) -> None:
    """Until something is there, the process has ended, or so many seconds have passed."""
    deadline = time.monotonic() + seconds
    while not seen() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)


def wait_for_a_moment(folder: Path, process: subprocess.Popen[str], rng: random.Random) -> str:
    """Let it go on for a while, as the kind of moment has it."""
    kind = rng.choice(["any", "rollout", "logged", "save", "renamed"])

    def count(pattern: str) -> int:
        return len(list(folder.glob(pattern)))

    before = {name: count(name) for name in ("runs/*/pictures/*/*.png", "runs/*/state/step-*")}
    groups = {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/groups-*.jsonl")}
    seen: dict[str, Callable[[], bool]] = {
        "any": lambda: False,
        "rollout": lambda: count("runs/*/pictures/*/*.png") > before["runs/*/pictures/*/*.png"],
        "logged": lambda: any(
            groups.get(path) != path.stat().st_mtime_ns
            for path in folder.glob("runs/*/groups-*.jsonl")
        ),
        "save": lambda: count("runs/*/state/.partial/*") > 0,
        "renamed": lambda: count("runs/*/state/step-*") != before["runs/*/state/step-*"],
    }
    if kind != "any":
        until(seen[kind], process, seconds=240)
        time.sleep(rng.choice([0, 0.005, 0.05, 0.3]) * rng.random())
    else:
        # MLflow's store in the making is broken by a kill, as by a second process.
        until(lambda: count("runs/*/mlflow_run") > 0, process, seconds=240)
        until(lambda: False, process, seconds=12 * rng.random())
    return kind


def killed_again_and_again(
    folder: Path, options: list[str], *, times: int, seed: int
) -> tuple[str, list[float], list[str]]:
    """The run, killed so often and then left alone: what it said, when it was killed, and where."""
    rng = random.Random(seed)
    kills, kinds = [], []
    for _ in range(times):
        process = start(SCRIPT, folder, *options, "--resume")
        kind = wait_for_a_moment(folder, process, rng)
        process.kill()
        kills.append(time.monotonic())
        _, errors = process.communicate()
        assert process.returncode == -9, f"{kinds}, {kind}: {errors}"
        kinds.append(kind)
    return to_the_end(folder, [*options, "--resume"]), kills, kinds


def histories(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Every point of every curve, as MLflow's client gives them."""
    client, logged = only_run(folder)
    return {
        name: [(p.step, p.value) for p in client.get_metric_history(logged.info.run_id, name)]
        for name in logged.data.metrics
        if not name.startswith("system/")
    }


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def check(broken: Path, unbroken: Path) -> None:
    """Both folders' only runs are one and the same."""
    [ours], [theirs] = broken.glob("runs/*/summary.json"), unbroken.glob("runs/*/summary.json")
    assert files_of(ours.parent / "policy") == files_of(theirs.parent / "policy")
    states = [one.parent / f"state/step-{STEPS:06d}/optimizer.pt" for one in (ours, theirs)]
    assert states[0].read_bytes() == states[1].read_bytes()

    found, wanted = histories(broken), histories(unbroken)
    for name, points in wanted.items():
        steps = [step for step, _ in points]
        assert sorted(step for step, _ in found[name]) == sorted(steps), name
        assert len(set(steps)) == len(steps), name
        if not name.startswith((*CLOCK, *BILLS)):
            assert sorted(found[name]) == sorted(points), name
    assert found.keys() == wanted.keys()
    assert {step for step, _ in found["agent/reward"]} == set(range(1, STEPS + 1))
    before = {"evaluation-000000.jsonl", f"evaluation-{STEPS:06d}.jsonl"}
    assert {path.name for path in ours.parent.glob("evaluation-*")} == before


@pytest.mark.slow
@pytest.mark.skipif("GENAGENT_KILLS" not in os.environ, reason="by hand: GENAGENT_KILLS=20")
@pytest.mark.parametrize("served", [False, True])
def test_a_run_that_is_killed_again_and_again_ends_as_an_unbroken_one(tmp_path: Path, served: bool):
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    unbroken.mkdir()
    broken.mkdir()
    bill = Bill()

    def both(options: list[str]) -> tuple[list[float], list[str]]:
        to_the_end(unbroken, options)
        bill.asked.clear()
        said, kills, kinds = killed_again_and_again(
            broken, options, times=KILLS // 2, seed=KILLS + served
        )
        assert summary_of(said, broken)[0]["steps"] == STEPS
        return kills, kinds

    if served:
        with services(bill) as more:
            kills, kinds = both([*SMALL, *more])
        assert len(bill.asked) > 20
        assert bill.paid_twice(kills) == [], kinds
    else:
        both(SMALL)
    check(broken, unbroken)
