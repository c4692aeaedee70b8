"""``before.jsonl`` and ``after.jsonl``: what became of each held-out request, as plain JSON.

    {"after_steps": 40, "id": "…", "prompt": "three red circles", "task": "count",
     "hints": ["exactly 3 red circles", …],
     "pictures": [{"file": "pictures/ab/abcd….png", "prompt": "red circle top-left, …",
                   "thinking": "…", "assessment": "… wrong", "taken_for_right": false,
                   "truth": {"right": false, "reason": "exactly 3 red circles: no; …"},
                   "judge": null, "tool_seconds": 0.2, "seed": 17}, …],
     "answer": "…", "ending": "answer", "error": null, "success": true, "tool_seconds": 0.4}

``truth`` is null where the world knows none, ``judge`` where it was not asked: with a truth it is
asked about last pictures only. ``right`` is null where a verdict could not be had. A call that the
tool failed has the ``file`` null. ``success`` is the truth's, or else the judge's.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from genagent_data import PictureStore, write_jsonl
from genagent_worlds import Outcome, PictureWord


def held_out_file(folder: Path, step: int) -> Path:
    """``before.jsonl`` for what was there before the first step, else ``after.jsonl``."""
    return folder / ("after.jsonl" if step else "before.jsonl")


def write_held_out(folder: Path, step: int, outcomes: Sequence[Outcome]) -> None:
    """Write the evaluation after so many steps into a run's folder, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    store = PictureStore(Path("pictures"))
    rows = ({"after_steps": step, **held_out_row(outcome, store)} for outcome in outcomes)
    write_jsonl(held_out_file(folder, step), rows)


def held_out_row(outcome: Outcome, store: PictureStore) -> dict[str, Any]:
    """One line. Example: see the module."""
    trajectory, request = outcome.trajectory, outcome.request
    return {
        "id": request.id,
        "prompt": request.prompt,
        "task": request.task,
        "hints": request.hints,
        "pictures": list(_pictures(outcome, store)),
        "answer": trajectory.answer,
        "ending": trajectory.ending,
        "error": trajectory.error,
        "success": outcome.success,
        "tool_seconds": sum(round.tool_seconds for round in trajectory.rounds),
    }


def words_of(outcome: Outcome) -> list[tuple[PictureWord | None, PictureWord | None]]:
    """What the truth and the judge said of each picture; None: unknown, and not asked."""
    reasons = outcome.reasons or (None,) * len(outcome.passed)
    said = [
        PictureWord(passed=passed, reason=reason)
        for passed, reason in zip(outcome.passed, reasons, strict=True)
    ]
    if outcome.source == "judge":
        return [(None, word) for word in said]
    last = len(said) - 1
    return [(word, outcome.judged if place == last else None) for place, word in enumerate(said)]


def _pictures(outcome: Outcome, store: PictureStore) -> Iterator[dict[str, Any]]:
    said = zip(outcome.trajectory.taken_for_right, words_of(outcome), strict=True)
    for round in outcome.trajectory.rounds:
        taken, (truth, judge) = (None, (None, None)) if round.picture is None else next(said)
        yield {
            "file": None if round.picture is None else store.path(round.picture.name).as_posix(),
            "prompt": round.tool_prompt,
            "thinking": round.thinking,
            "assessment": round.judgement,
            "taken_for_right": taken,
            "truth": _word(truth),
            "judge": _word(judge),
            "tool_seconds": round.tool_seconds,
            "seed": round.seed,
        }


def _word(word: PictureWord | None) -> dict[str, Any] | None:
    return None if word is None else {"right": word.passed, "reason": word.reason}
