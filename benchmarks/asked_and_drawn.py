"""Whether it is the agent's prompts that fail, or the tool that draws them.

    uv run benchmarks/asked_and_drawn.py --runs runs/rl_flux-20261130-033956
    uv run benchmarks/asked_and_drawn.py --runs reproduced/archived/rl_flux-*/runs/*

In the miniature a prompt can be read as a scene (``red circle top, blue square center``), drawn
without any tool, and held against the request. So each prompt of an evaluation after RL says a
picture that would be right, or one that would be wrong, or nothing clear; and each picture is right
or not. Second prompts are those that followed a failed first picture. Several runs are counted
together. Pictures are not needed: cells of an archive will do.
"""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from genagent_data import write_text
from genagent_miniworld import SIZES, Verifier, parse_caption, render
from genagent_study.archive import NamedPictures
from genagent_tracking import parse, print_line, print_table
from genagent_worlds import Rate, read_outcomes

Said = Literal["right", "wrong", "unclear"]
SAID: tuple[Said, ...] = ("right", "wrong", "unclear")


@dataclass(frozen=True, kw_only=True)
class AskedAndDrawn:
    """Whose prompts."""

    runs: tuple[Path, ...]
    """Folders of runs that have finished."""
    output: Path = Path("runs/asked_and_drawn.json")

    def __post_init__(self) -> None:
        for run in self.runs:
            if not any(run.glob("evaluation-*.jsonl")):
                raise ValueError(f"runs has {run}; wants folders of runs with their evaluations")


@cache
def said(prompt: str, hints: tuple[str, ...]) -> Said:
    """Where sizes are left open, right if one of them would do."""
    scenes = [parse_caption(prompt.lower(), size=size) for size in SIZES]
    clear = [scene for scene in scenes if scene is not None]
    if not clear:
        return "unclear"
    verifier = Verifier()
    return "right" if any(verifier.passed(hints, render(one)) for one in clear) else "wrong"


def count(runs: Sequence[Path]) -> list[dict[str, str]]:
    """Rows of the table."""
    asked: Counter[tuple[str, Said]] = Counter()
    drawn: Counter[tuple[str, Said]] = Counter()
    changed: Counter[tuple[Said, Said]] = Counter()
    for run in runs:
        for one in read_outcomes(
            sorted(run.glob("evaluation-*.jsonl"))[-1], NamedPictures(run / "pictures")
        ):
            hints = tuple(one.request.hints)
            prompts: list[Said] = [
                said(round.tool_prompt, hints) for round in one.trajectory.rounds
            ]
            failed = one.passed[:1] == (False,)
            for name, place in (("first", 0), ("second, after a failure", 1)):
                if len(one.passed) > place and (place == 0 or failed):
                    asked[name, prompts[place]] += 1
                    drawn[name, prompts[place]] += one.passed[place] is True
            if failed and len(one.passed) > 1:
                changed[prompts[0], prompts[1]] += 1
    rows = []
    for name in dict.fromkeys(name for name, _ in asked):
        every = sum(asked[name, what] for what in SAID)
        for what in SAID:
            trials = asked[name, what]
            rows.append(
                {
                    "prompts": name,
                    "say": what,
                    "share, %": Rate(hits=trials, trials=every).short,
                    "drawn right, %": Rate(hits=drawn[name, what], trials=trials).short,
                }
            )
    again = sum(changed["right", what] for what in SAID)
    kept = Rate(hits=changed["right", "right"], trials=again)
    return [
        *rows,
        {
            "prompts": "second, the first being right",
            "say": "right",
            "share, %": kept.short,
            "drawn right, %": "-",
        },
    ]


def main(config: AskedAndDrawn) -> None:
    """Read, show, write down."""
    rows = count(config.runs)
    print_table("prompts after RL", rows, has_total=False)
    config.output.parent.mkdir(parents=True, exist_ok=True)
    write_text(config.output, json.dumps(rows, indent=2))
    print_line(str(config.output))


if __name__ == "__main__":
    main(parse(AskedAndDrawn, sys.argv[1:], prog="asked_and_drawn.py"))
