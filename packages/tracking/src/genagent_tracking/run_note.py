"""The note at the top of a run's page in MLflow: what came out, where its files are, where to look.

It is there from the beginning and written anew whenever something is known, so that a run that was
killed, even by ``kill -9``, or has failed says how far it came as plainly as one that has finished.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from genagent_tracking.failure import error_line
from genagent_tracking.record import RunStatus

NOTE = "mlflow.note.content"
"""The tag that MLflow shows as a run's description."""
_MOST_ROWS = 40
"""Rows of a table; MLflow takes 8,000 characters of a tag."""
_MOST_FIGURES = 24
_APART = "\u00a0\u00a0"
"""Behind each cell: MLflow's page shows a table's columns without a space between them."""
_MOST = 7900

_TRAINING = (
    "**Model metrics**: the first group, `agent/`, says whether it learns: success by the last and "
    "by the first picture, pictures a request, reward. `eval/` is the same of held-out requests.",
    "**Artifacts**: by step, `held_out/` has requests before and after with their pictures, and "
    "`attempts/` the attempts at one request with reward and advantage; `held_out.json` is the "
    "table above, `summary.json` every figure of it, `config.json` what starts the run again.",
    "**Traces**: held-out requests (tag `evaluation`: `before` or `after`; `change`: `won` or "
    "`lost`) and a few attempts of some steps, round by round, with pictures and verdicts.",
)
_OTHER = (
    "**Artifacts**: tables as `.json`, `summary.json` with every figure, `config.json`, which "
    "starts the run again.",
)


@dataclass(kw_only=True, slots=True)
class RunNote:
    """What there is to say of a run so far."""

    name: str
    """Of the experiment."""
    folder: Path = Path()
    learns: bool = False
    """It has steps, traces and evaluations."""
    headline: str = ""
    """What came out, in a sentence."""
    found: list[str] = field(default_factory=list)
    """What it has found out on the way, a line each."""
    tables: dict[str, Sequence[Mapping[str, object]]] = field(default_factory=dict)
    """By title."""
    figures: Mapping[str, object] = field(default_factory=dict)

    def markdown(
        self, status: RunStatus | None, *, step: int, error: BaseException | None = None
    ) -> str:
        """The note as MLflow shows it; what a model or a server wrote is shown as it is.

        Args:
            status: None while it runs.
            step: steps taken and kept.
            error: what a failed run has failed of.
        """
        parts = [self._begin(status, step, error)]
        if self.found:
            parts.append("\n".join(f"- {plain(line)}" for line in self.found))
        for title, rows in self.tables.items():
            if rows:
                parts += [f"**{plain(title)}**", table(rows)]
        scalars = {name: v for name, v in self.figures.items() if isinstance(v, int | float | str)}
        if scalars and not self.tables:
            some = dict(list(scalars.items())[:_MOST_FIGURES])
            parts.append(table([{"figure": name, "value": v} for name, v in some.items()]))
        places = _TRAINING if self.learns else _OTHER
        parts.append("\n".join(f"- {line}" for line in (self._place(), *places)))
        text = "\n\n".join(parts)
        return text if len(text) <= _MOST else f"{text[:_MOST]}\n\n… (cut)"

    def _begin(self, status: RunStatus | None, step: int, error: BaseException | None) -> str:
        steps = f"after step {step}" if self.learns and step else "before the first step"
        goes_on = (
            f"`uv run experiments/{self.name}.py … --resume`, with its options, goes on with it."
            if self.learns
            else "The same command goes on with it."
        )
        if status is None:
            return "**Running**, or ended without a word (`kill -9`, a machine that went down)."
        if status == "finished":
            return f"**{plain(self.headline)}**" if self.headline else "**Finished.**"
        where = f" {steps}" if self.learns else ""
        if status == "killed":
            return f"**Stopped{where}.** {goes_on}"
        why = error_line(error)[:1000] if error else ""
        return f"**Failed{where}**: {plain(why)}\n\n{goes_on}"

    def _place(self) -> str:
        where = os.path.relpath(self.folder) if self.folder.is_absolute() else self.folder
        shown = self.folder if str(where).startswith("..") else where
        return f"**Folder**: `{shown}`"


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows of equal columns as a table of Markdown. Example: ``"| task | n |\\n| --- | …"``"""
    shown = rows[:_MOST_ROWS]
    lines = [list(shown[0]), ["---"] * len(shown[0]), *([*row.values()] for row in shown)]
    rows_of_cells = ["| " + " | ".join(map(_cell, line)) + " |" for line in lines]
    text = "\n".join(rows_of_cells)
    left = len(rows) - len(shown)
    return f"{text}\n\n({left} more rows)" if left else text


def plain(text: str) -> str:
    """Markdown that shows the text as it is, in one line."""
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", " ".join(text.split()))


def _cell(value: object) -> str:
    if value == "---":
        return "---"
    said = f"{value:.4g}" if isinstance(value, float) else plain(str(value))
    return said + _APART
