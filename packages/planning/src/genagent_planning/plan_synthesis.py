"""The plan of a synthesis: requests, calls, pictures, tokens, hours, disk; nothing is asked."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from genagent_data import Funnel
from genagent_planning.assumptions import GIB
from genagent_planning.report import show_assumptions
from genagent_planning.synthesis_traffic import (
    SHARES,
    Questions,
    SynthesisPlanConfig,
    SynthesisTraffic,
    counted_shares,
    synthesis_traffic,
)
from genagent_planning.traffic import picture_bytes
from genagent_tracking import parse, print_line, print_table

SHOWN = ("words alone", "one picture", "two pictures")
"""What a question has, by the number of its pictures."""


def plan_synthesis(
    words: Sequence[str],
    *,
    requests: int | Path,
    plain: int,
    teacher_concurrency: int | None,
    judge_concurrency: int | None,
    counted: Funnel | None,
    default: SynthesisPlanConfig,
) -> None:
    """Print the plan of a synthesis with these options.

    Args:
        words: of the command line, options of ``SynthesisPlanConfig``.
        requests: how many there are, or their file, which is not there.
        plain: pictures of the bare request that must all fail.
        teacher_concurrency: questions in flight; None: a teacher that is no model.
        judge_concurrency: questions in flight; None: a judge in this process.
        counted: what a synthesis in the same folder has come to, whose shares stand in place of
            the default's.
        default: what the words change.

    Raises:
        ValueError: the requests are not there and no records are wanted, or none comes through.
        SystemExit: an unknown option (2), or ``--help`` (0).
    """
    shares = {} if counted is None else counted_shares(counted)
    given = parse(
        SynthesisPlanConfig, words, prog="synthesize.py --plan", default=replace(default, **shares)
    )
    if given.records:
        each = synthesis_traffic(1, plain=plain, given=given).records
        if not each:
            raise ValueError("no request becomes a record by these shares; give larger ones")
        wanted = math.ceil(given.records / each)
        there = "" if isinstance(requests, Path) else f"; there are {requests:,}"
        print_line(f"{given.records:,} records want {wanted:,} requests{there}")
    elif isinstance(requests, Path):
        raise ValueError(
            f"{requests} is not there; give a file of requests or their number (--requests 10000), "
            "or the number of records that are wanted (--plan.records 3500)"
        )
    else:
        wanted = requests
    traffic = synthesis_traffic(wanted, plain=plain, given=given)
    print_line(f"{wanted:,} requests come to {traffic.records:,.0f} records")
    _show_stages(traffic)
    hours = {"tool": traffic.pictures * given.picture_seconds / given.image_gpus / 3600}
    seconds = given.verdict_seconds / (judge_concurrency or 1)
    hours["judge"] = seconds * _asked(traffic.judge) / 3600
    names = ["picture_side", "picture_seconds", "image_gpus", "verdict_seconds"]
    side_by_side = "one after another"
    if judge_concurrency:
        _show_questions("judge", traffic.judge, given, given.verdict_tokens)
        names += ["verdict_tokens"]
        side_by_side = "side by side: at least the longest"
    if teacher_concurrency:
        _show_questions("teacher", traffic.teacher, given, given.reply_tokens)
        seconds = given.reply_seconds / teacher_concurrency
        hours["teacher"] = seconds * _asked(traffic.teacher) / 3600
        names += ["reply_seconds", "reply_tokens", "references"]
    if judge_concurrency or teacher_concurrency:
        names += ["question_tokens", "picture_tokens"]
    _show_sizes(f"time, {side_by_side}", hours, "hours")
    size = picture_bytes(given.picture_side) / GIB
    drawn, copied = traffic.pictures * size, traffic.record_pictures * size
    _show_sizes("disk", {"pictures": drawn, "those of the records once more": copied}, "GiB")
    found = [name for name in SHARES if name in shares and getattr(given, name) == shares[name]]
    if counted is not None:
        show_assumptions(given, found, f"counted in --out, of {counted.requests:,} requests:")
    show_assumptions(given, [name for name in SHARES if name not in found] + names)


def _show_stages(traffic: SynthesisTraffic) -> None:
    rows = [
        {
            "stage": stage.name,
            "in": f"{stage.coming:,.0f}",
            "kept": f"{stage.kept:,.0f}",
            "teacher": f"{stage.teacher:,.0f}" if stage.teacher else "",
            "tool": f"{stage.tool:,.0f}" if stage.tool else "",
            "judge": f"{stage.judge:,.0f}" if stage.judge else "",
        }
        for stage in traffic.stages
    ]
    whole = _asked(traffic.teacher), traffic.pictures, _asked(traffic.judge)
    first = {"stage": "all", "in": rows[0]["in"], "kept": rows[-1]["kept"]}
    first |= dict(zip(("teacher", "tool", "judge"), (f"{n:,.0f}" for n in whole), strict=True))
    print_table("requests by stage, and what is asked of whom", [first, *rows])


def _show_questions(
    whom: str, questions: Sequence[Questions], given: SynthesisPlanConfig, reply: int
) -> None:
    def row(name: str, questions: Sequence[Questions]) -> dict[str, str]:
        asked = _asked(questions)
        shown = sum(one.pictures * one.asked for one in questions)
        read = asked * given.question_tokens + shown * given.picture_tokens
        figures = {"questions": asked, "tokens read": read, "tokens written": asked * reply}
        return {"": name} | {title: f"{value:,.0f}" for title, value in figures.items()}

    rows = [row("all", questions)]
    rows += [row(f"{one.kind}, {SHOWN[one.pictures]}", [one]) for one in questions if one.asked]
    print_table(f"the {whom}", rows)


def _asked(questions: Sequence[Questions]) -> float:
    return sum(one.asked for one in questions)


def _show_sizes(title: str, sizes: Mapping[str, float], unit: str) -> None:
    rows = [{"": name, unit: f"{size:,.2f}"} for name, size in sizes.items()]
    print_table(title, rows, has_total=False)
