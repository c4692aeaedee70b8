"""A study as people run it: two real cells, one of which needs what the other has learnt."""

import json
from pathlib import Path
from typing import get_args

import pytest
from experiments.reproduce import ReproduceConfig, SectionName
from tests.experiments.running import run

from genagent_study import SECTIONS

SMALL = (
    *("--sections", "figure5", "--seeds", "1", "--steps", "1", "--held-out", "9"),
    *("--training", "requests-per-step=2", "samples=3", "keep=2"),
)


def starts(folder: Path) -> list[int]:
    """Of each cell, how often a process has begun on it."""
    logs = sorted((folder / "reproduced" / "cells").glob("*/log.txt"))
    return [log.read_text().count("a new run") for log in logs]


def test_every_section_can_be_asked_for():
    assert get_args(SectionName) == tuple(SECTIONS)


def test_whatever_is_trained_with_the_others_are_not():
    usual = ReproduceConfig().study([]).subject
    assert usual.tools == ("sana-mini", "flux-mini", "qwen-image-mini")
    flux = ReproduceConfig(tool="flux-mini").study(["smoke", "--threads", "2"]).subject
    assert flux.tools == ("flux-mini", "sana-mini", "qwen-image-mini")
    assert (flux.preset, flux.options) == (("smoke",), ("--threads", "2"))


def test_a_study_of_further_seeds_begins_where_it_is_told():
    assert ReproduceConfig().study([]).seeds == (0, 1, 2, 3, 4)
    assert ReproduceConfig(seed=5).study([]).seeds == (5, 6, 7, 8, 9)
    assert ReproduceConfig(seed=3, seeds=1).study([]).seeds == (3,)


@pytest.mark.slow
def test_a_second_run_does_only_what_changed(tmp_path: Path):
    done = run("reproduce.py", tmp_path, *SMALL, "--", "smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 cells: 0 kept, 2 to run, 2 side by side; about " in done.stdout
    summary = tmp_path / done.stdout.strip().splitlines()[-1]
    figures = json.loads(summary.read_text())
    assert [one["claim"] for one in figures["patterns"]["figure5"]] == [
        "Two rounds beat one",
        "Three rounds beat two",
    ]
    # The same requests in the training's evaluation and in evaluate.py's.
    assert all("Of 9 requests" in one["sentence"] for one in figures["patterns"]["figure5"])
    [table] = figures["tables"]["figure5"]
    drawn = [float(row["pictures drawn"]) for row in table["rows"]]
    assert drawn[0] <= 1 <= drawn[1] <= drawn[2] <= 3
    page = (tmp_path / "reproduced" / "reproduce.html").read_text()
    assert "data:image/png;base64," in page
    assert starts(tmp_path) == [1, 1]

    again = run("reproduce.py", tmp_path, *SMALL, "--resume", "--", "smoke")
    assert again.returncode == 0, again.stderr
    assert "2 cells: 2 kept, 0 to run" in again.stdout
    assert json.loads(summary.read_text())["tables"] == figures["tables"]
    assert starts(tmp_path) == [1, 1]

    planned = run(
        "reproduce.py", tmp_path, *SMALL, "--plan", "--training", "lr=1e-3", "--", "smoke"
    )
    assert "2 cells: 0 kept, 2 to run" in planned.stdout  # what the first makes is another


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--seeds", "0"), "seeds is 0; wants 1 or more"),
        (("--seed", "-1"), "seed is -1; wants 0 or more"),
        (("--training", "lr"), "training is 'lr'; wants name=value, or name= for a flag"),
    ],
    ids=["seeds", "seed", "training"],
)
def test_bad_input_is_said_and_leaves_nothing(tmp_path: Path, words: tuple[str, str], line: str):
    done = run("reproduce.py", tmp_path, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert line in done.stderr
    assert list(tmp_path.iterdir()) == []
