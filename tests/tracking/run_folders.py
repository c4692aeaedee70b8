"""Folders as runs leave them, written by what runs write them with."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from genagent_data import Picture, PictureStore, Request, Round, Trajectory
from genagent_rewards import RewardRecord, Verdict, hybrid_reward
from genagent_tracking.failure import write_failure
from genagent_tracking.held_out import write_held_out
from genagent_tracking.step_figures import StepFigures
from genagent_worlds import (
    AttemptRecord,
    GroupRecord,
    Outcome,
    PictureWord,
    groups_file,
    write_groups,
    write_outcomes,
)

WORDS = "spoken words"
"""What people and models say in these folders, wherever they say something."""


def picture(store: PictureStore, number: int) -> Picture:
    return store.put(Image.new("RGB", (8, 8), (37 * number % 256, 91 * number % 256, 200)))


def outcome(store: PictureStore, number: int, *passed: bool, task: str = "count") -> Outcome:
    """Of request ``number``; each picture's colour is of its own."""
    request = Request(id=str(number), prompt=WORDS, task=task, hints=(WORDS,))
    rounds = tuple(
        Round(
            thinking=WORDS,
            tool_prompt=WORDS,
            picture=picture(store, 10 * number + place + 5 * passed[-1]),
            judgement=WORDS,
            seed=place,
            tool_seconds=0.5,
        )
        for place in range(len(passed))
    )
    return Outcome(
        trajectory=Trajectory(request=request, rounds=rounds, answer=WORDS, ending="answer"),
        passed=passed,
        source="truth",
        reasons=(WORDS,) * len(passed),
        judged=PictureWord(passed=True, reason=WORDS),
    )


def group(store: PictureStore, rewards: Sequence[bool | None], advantages) -> GroupRecord:
    """None is an attempt that was left out."""
    attempts = []
    for number, (right, advantage) in enumerate(zip(rewards, advantages, strict=True)):
        breakdown = hybrid_reward(point_passed=bool(right), pair_wins=[], format_error=False)
        verdict = Verdict(choice="yes" if right else "no", reason=WORDS, judge="j")
        attempts.append(
            AttemptRecord(
                trajectory=outcome(store, number + 20, bool(right)).trajectory,
                turns=(WORDS, WORDS),
                record=None
                if right is None
                else RewardRecord(breakdown=breakdown, point_verdict=verdict),
                advantage=advantage,
                dropped="resampled" if right is None else None,
                true_success=right,
            )
        )
    return GroupRecord(attempts=tuple(attempts))


def broken_group(store: PictureStore) -> GroupRecord:
    """One turn that breaks the protocol, a tool that fails, a verdict that could not be had."""
    [one] = group(store, [False], [0.0]).attempts
    broken = replace(one.trajectory, ending="format_error", error="no_action", answer=None)
    failed = replace(
        broken,
        ending="tool_failure",
        error=WORDS,
        rounds=(Round(thinking=WORDS, tool_prompt=WORDS, picture=None),),
    )
    absent = RewardRecord(breakdown=None, point_verdict=None, error=WORDS)
    return GroupRecord(
        attempts=(
            replace(one, trajectory=broken),
            replace(one, trajectory=failed, record=None, advantage=None, dropped="tool_failure"),
            replace(one, record=absent, advantage=None, dropped="absent_verdict"),
        )
    )


def make_folder(folder: Path) -> Path:
    """A run of six steps: two requests won, one lost, one wrong both times."""
    begun = begin_folder(folder)
    store = PictureStore(folder / "pictures")
    after = [
        outcome(store, number, passed, task="count" if number < 2 else "color")
        for number, passed in enumerate((True, True, False, False), start=1)
    ]
    write_outcomes(folder / "evaluation-000006.jsonl", after)
    write_held_out(folder, 6, after)
    summary = {
        "experiment": "job",
        "status": "finished",
        "seed": 3,
        "changed": "lr <3>",
        "steps": 6,
        "seconds": 90.0,
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    return begun


def begin_folder(folder: Path, *, error: Exception | None = None) -> Path:
    """The same run before its last evaluation, or failed."""
    folder.mkdir(parents=True)
    options = {"steps": 6, "name": WORDS, "run": {"trial": False, "tracker": {"uri": "a://u:p@h"}}}
    (folder / "config.json").write_text(json.dumps(options))
    store = PictureStore(folder / "pictures")
    before = [
        outcome(store, number, False, passed, task="count" if number < 2 else "color")
        for number, passed in enumerate((False, False, True, False), start=1)
    ]
    write_outcomes(folder / "evaluation-000000.jsonl", before)
    write_held_out(folder, 0, before)
    figures = StepFigures(folder)
    for step in range(1, 7):
        figures.add(
            {"agent/reward": step / 10, "agent/success": 0.5, "format_error/no_action": 2.0}, step
        )
    figures.close()
    same = group(store, [True, True, None], [0.0, 0.0, None])
    telling = group(store, [False, True, None], [-1.0, 1.0, None])
    write_groups(groups_file(folder, 1), [same, telling])
    write_groups(groups_file(folder, 4), [same, broken_group(store)])
    if error is not None:
        write_failure(folder, error, 5)
    return folder
