"""A study as one page, whole in itself and without a script."""

import base64
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genagent_data import write_text
from genagent_study.cell import Cell
from genagent_study.queue import Failure
from genagent_study.result import Result
from genagent_study.shown import Section, Shown
from genagent_study.store import commit
from genagent_study.study import Study
from genagent_tracking.pages import Pages

TEMPLATES = Path(__file__).parent / "templates"
MARKS = {
    "shows": "good",
    "shows weakly": "weak",
    "does not show": "none",
    "shows the opposite": "bad",
}


def write_page(
    path: Path,
    study: Study,
    sections: Sequence[Section],
    results: Mapping[Cell, Result],
    failures: Sequence[Failure],
    *,
    title: str,
    code: str,
) -> dict[str, Any]:
    """Write the page of what has finished, and return its figures for a summary.

    A section is of the seeds of which all its cells have finished, and says so where some are
    missing.

    Args:
        code: digits of the code that runs now.

    Raises:
        ValueError: a result is damaged.
        OSError: one cannot be read, or the page not be written.
    """
    seeds = {section.name: section.whole_seeds(study, results) for section in sections}
    shown = {
        section.name: section.show(study, results, found)
        for section in sections
        if (found := seeds[section.name])
    }
    used = {
        cell: result
        for section in sections
        for cell in section.all_cells(study)
        if (result := results.get(cell)) is not None
    }
    patterns = [pattern for one in shown.values() for pattern in one.patterns]
    page = Pages(TEMPLATES, styles=("study.css",)).render(
        "study.html.j2",
        title=title,
        study=study,
        sections=[(section, shown.get(section.name), seeds[section.name]) for section in sections],
        counts={mark: n for mark in MARKS if (n := sum(one.verdict == mark for one in patterns))},
        by_chance=f"{len(patterns) / 40:.1f}",
        failures=failures,
        marks=MARKS,
        image=_data_url,
        other_code=sum(result.code != code for result in used.values()),
        about=_about(study, used, code),
    )
    write_text(path, page)
    return {
        "quick": study.quick,
        "seeds": list(study.seeds),
        "steps": study.steps,
        "held_out": study.held_out,
        "cells": len(used),
        "seconds": sum(result.seconds for result in used.values()),
        "failed": [{"cell": one.cell.title, "why": one.why} for one in failures],
        "patterns": {name: _pattern_figures(one) for name, one in shown.items()},
        "tables": {
            name: [{"title": table.title, "rows": list(table.rows)} for table in one.tables]
            for name, one in shown.items()
        },
    }


def _pattern_figures(shown: Shown) -> list[dict[str, Any]]:
    return [
        {
            "claim": one.claim,
            "verdict": one.verdict,
            "value": one.measured.value,
            "interval_95": one.measured.interval if one.measured.n > 1 else None,
            "p_value": one.measured.p_value,
            "seeds": one.measured.values,
            "sentence": one.sentence(),
        }
        for one in shown.patterns
    ]


def _about(study: Study, used: Mapping[Cell, Result], code: str) -> dict[str, str]:
    def counted(values: Sequence[str]) -> str:
        return ", ".join(
            f"{value or 'unknown'} ({n} cells)" for value, n in Counter(values).items()
        )

    found = list(used.values())
    return {
        "made": time.strftime("%Y-%m-%d %H:%M"),
        "commit of this page": commit() or "unknown",
        "code of this page": code,
        "commits of the cells": counted([result.commit for result in found]),
        "processor": counted([result.processor for result in found]),
        "time of the cells": f"{sum(result.seconds for result in found) / 60:.0f} minutes",
        "seeds": ", ".join(map(str, study.seeds)),
        "steps of RL": str(study.steps),
        "held-out requests a seed": str(study.held_out),
        "options of every training": " ".join(study.training) or "none",
        "options of every cell": " ".join((*study.subject.preset, *study.subject.options))
        or "none",
    }


def _data_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
