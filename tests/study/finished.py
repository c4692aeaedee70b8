"""Cells as runs and evaluations leave them, made by hand."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from genagent_data import PictureStore, Request, Round, Trajectory, trajectory_to_row
from genagent_study import Cell, CellStore, Made, Study
from genagent_tracking.step_figures import StepFigures
from genagent_worlds import Outcome, write_outcomes

Passed = Sequence[Sequence[bool]]
"""Of each request, whether each of its pictures is right."""


WORDS = "circles, each of them in a place of its own"


def outcomes(
    pictures: PictureStore,
    passed: Passed,
    *,
    seed: int,
    words: str = "",
    words_from: int = 0,
    broken: int = 0,
    tool_failed: int = 0,
) -> list[Outcome]:
    """Of the seed's requests 0, 1, …; the first ``broken`` of them end in a broken protocol, the
    last ``tool_failed`` by the tool.

    Args:
        words: what the agent asks the tool for first, and then for ``circles``; the request
            itself by default.
        words_from: the first request that it says them of.
    """
    picture = pictures.put(Image.new("RGB", (8, 8), (90, 120, 200)))
    found = []
    for number, right in enumerate(passed):
        prompt = f"<b>{number}</b> red circles"
        own = words and number >= words_from
        asked = [words, *["circles"] * len(right)] if own else [prompt] * len(right)
        rounds = tuple(
            Round(thinking="t", tool_prompt=said, picture=picture, judgement="j")
            for said, _ in zip(asked, right, strict=False)
        )
        ending = "format_error" if number < broken else "answer"
        trajectory = Trajectory(
            request=Request(id=f"held-out-{seed}-{number}", prompt=prompt, task="count"),
            rounds=rounds,
            answer="done",
            ending="tool_failure" if number >= len(passed) - tool_failed else ending,
        )
        found.append(Outcome(trajectory=trajectory, passed=tuple(right), source="truth"))
    return found


def keep_run(
    store: CellStore,
    cell: Cell,
    *,
    before: Passed,
    after: Passed,
    figures: Mapping[str, Sequence[float]],
) -> None:
    """A cell of ``rl_flux.py`` that has finished. Before learning, the last request's first prompt
    says more than the request, under seed 1 those of the last two."""
    run = store.path(cell) / "runs" / "rl_flux-1"
    pictures = PictureStore(run / "pictures")
    steps = len(next(iter(figures.values())))
    own = len(before) - (2 if cell.seed == 1 else 1)
    before_learning = outcomes(pictures, before, seed=cell.seed, words=WORDS, words_from=own)
    write_outcomes(run / "evaluation-000000.jsonl", before_learning)
    after_learning = outcomes(pictures, after, seed=cell.seed, words=WORDS)
    write_outcomes(run / f"evaluation-{steps:06d}.jsonl", after_learning)
    kept = StepFigures(run)
    for step in range(steps):
        kept.add({name: values[step] for name, values in figures.items()}, step + 1)
    kept.close()
    _finish(store, cell, run, {"steps": steps})


def keep_evaluation(
    store: CellStore,
    cell: Cell,
    ways: Mapping[tuple[str | None, str, str, int], Passed],
    *,
    tool_failed: int = 0,
) -> None:
    """A cell of ``evaluate.py`` that has finished.

    Args:
        ways: by policy, tool, strategy and rounds.
        tool_failed: how many of the last requests of each.
    """
    out = store.path(cell) / "out"
    cells = []
    for number, ((policy, tool, strategy, rounds), passed) in enumerate(ways.items()):
        digest = f"digest{number}"
        # As the miniature has it, the requests of a new kind are the same under every seed.
        asked = 0 if cell.title.startswith("new requests") else cell.seed
        broken = 2 if policy == "base" else 0
        pictures = PictureStore(out / "pictures")
        found = outcomes(pictures, passed, seed=asked, broken=broken, tool_failed=tool_failed)
        (out / "cells" / digest).mkdir(parents=True)
        answers, rows = [], []
        for one in found:
            row = {"trajectory": trajectory_to_row(one.trajectory), "turns": [], "seed": 0}
            answers.append(json.dumps(row | {"seconds": 0.1}))
            counts = True in one.passed if strategy == "best-of" else one.passed[-1:] == (True,)
            score = float(counts) if one.passed else "missing"
            scores = ", ".join("1" if right else "0" for right in one.passed)
            rows.append({"id": one.request.id, "score": score, "all scores": scores})
        (out / "cells" / digest / "drawn.sqlite").write_bytes(b"which pictures were drawn")
        (out / "cells" / digest / "answers.jsonl").write_text("\n".join(answers) + "\n")
        (out / "cells" / f"{digest}-judge.json").write_text(json.dumps({"requests": rows}))
        about = {"policy": policy, "tool": tool, "strategy": strategy, "rounds": rounds}
        cells.append(about | {"answers": digest})
    _finish(store, cell, store.path(cell) / "runs" / "evaluate-1", {"cells": cells})


def _finish(store: CellStore, cell: Cell, run: Path, figures: Mapping[str, object]) -> None:
    run.mkdir(parents=True, exist_ok=True)
    summary = run / "summary.json"
    summary.write_text(json.dumps({"status": "finished", "seconds": 60.0, **figures}))
    store.keep(cell, summary, seconds=1.0)


RIGHT, MENDED, WRONG, SPOILT = (True,), (False, True), (False, False), (True, False)


def keep_everything(store: CellStore, study: Study, cells: Sequence[Cell]) -> None:
    """Each of these cells with figures of its kind, a request more or less right by seed.

    Of 8 requests base gets 2 right, the cold start 5 (2 at once), rl 6 (1 at once) and rl without
    pairs 5 (4 at once), and seeds from 1 on one request more in ``after`` than seed 0, without
    pairs two. Under seed 1 alone base gets one more right, and so do the tool alone and the cold
    start of new requests: else another seed's cell in place of its own would come to the same.
    """
    cold_start = [RIGHT, RIGHT, *[MENDED] * 3, *[WRONG] * 3]
    for cell in cells:
        more = [RIGHT] if cell.seed else [WRONG]
        paid = [MENDED, RIGHT, *[MENDED] * 4, SPOILT, *more]
        unpaid = [*[RIGHT] * 4, *more, MENDED, WRONG, *more]
        options = [one for one in cell.options if isinstance(one, str)]
        made = any(isinstance(one, Made) for one in cell.options)
        if cell.script == "rl_flux.py":
            is_paid = options[options.index("--reward.single-round") + 1] == "zero"
            is_weak = "--world.judge" in options
            figures = {
                "agent/reward": [0.2, 0.3, 0.4, 0.5 + 0.1 * cell.seed],
                "agent/rounds": [1.5, 1.5, 1.6, 1.8 if is_paid else 1.2],
                "agent/success": [0.5, 0.6, 0.7, 0.8],
                "agent/first_success": [0.4, 0.4, 0.3, 0.2 if is_paid else 0.7],
                "reward/pair_after_failed_first": [0.05, 0.1, 0.1, 0.2 + 0.01 * cell.seed],
                "reward/pair_after_passed_first": [0.01, 0.01, 0.01, 0.01],
                "audit/false_accept": [0.1, 0.2, 0.4, 0.5] if is_weak else [0.1, 0.1, 0.1, 0.1],
                "audit/true_success": [0.5, 0.5, 0.6, 0.6 + 0.01 * cell.seed],
                "audit/judged_success": [0.5, 0.6, 0.8, 0.9] if is_weak else [0.5, 0.5, 0.6, 0.6],
                "policy/entropy": [2.0, 1.0, 0.5, 0.1] if is_weak else [2.0, 1.9, 1.8, 1.7],
            }
            after = paid if is_paid else unpaid
            if is_weak:  # makes a worse agent by one request, as learning with sana-mini a better
                after = [WRONG, *after[1:]]
            elif options[options.index("--world.tool") + 1] == "sana-mini":
                after = [RIGHT if one == SPOILT else one for one in after]
            keep_run(store, cell, before=cold_start, after=after, figures=figures)
            continue
        one_more = cell.seed == 1
        base = [RIGHT, RIGHT, *[WRONG] * 5, (False, one_more)]
        of_new = one_more and cell.title.startswith("new requests")
        started = [*cold_start[:7], (False, of_new)]
        thrice = [(True, False, True) if one == SPOILT else one for one in paid]
        words = dict(_lists(options))
        ways = {}
        for tool in words["--tools"]:
            for strategy in words["--strategy"]:
                for rounds in map(
                    int, words["--rounds"] if strategy in ("agent", "workflow") else "1"
                ):
                    learnt = ["/kept/policy"] if made else []
                    asked = [*words["--policies"], *learnt] if strategy == "agent" else [None]
                    for policy in asked:
                        learnt_by = {1: cold_start, 2: paid, 3: thrice}[rounds]
                        acting = learnt_by if policy == "/kept/policy" else started
                        passed = {
                            "plain": [RIGHT, *[(False,)] * 6, (of_new,)],
                            "rewrite": [RIGHT, RIGHT, *[(False,)] * 6],
                            "best-of": [RIGHT, (True, False), *[WRONG] * 6],
                            "workflow": [RIGHT, *[MENDED] * 3, SPOILT, *[WRONG] * 3],
                            "agent": base if policy == "base" else acting,
                        }[strategy]
                        number = 2 if strategy == "best-of" else rounds
                        ways[policy, tool, strategy, number] = passed
        keep_evaluation(store, cell, ways)


def _lists(words: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Each option with the values behind it."""
    found: list[tuple[str, list[str]]] = []
    for word in words:
        if word.startswith("--"):
            found.append((word, []))
        else:
            found[-1][1].append(word)
    return found
