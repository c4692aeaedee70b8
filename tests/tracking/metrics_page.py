"""What docs/mlflow.md says of metrics, read for tests."""

import re
from collections.abc import Iterable
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "mlflow.md"
ELSEWHERE = (
    "Where no truth is known",
    "Fine-tuning",
    "Options of the reward",
    "Options of the update",
    "Making records",
)
"""Sections of metrics that an RL run with a truth and the default options does not have."""


def documented(*, elsewhere: bool = True) -> list[str]:
    """Names of metrics in the page's tables, in order; ``<name>`` stands for any."""
    text = PAGE.read_text(encoding="utf-8").split("## Metrics", 1)[1]
    names = []
    for section in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        if elsewhere or not section.startswith(ELSEWHERE):
            names += re.findall(r"^\| `([^`]+)` \|", section, flags=re.MULTILINE)
    return names


def undocumented(logged: Iterable[str]) -> set[str]:
    """Metrics that the page has no line for; those of the machine are MLflow's own."""
    lines = [re.sub(r"<\\?\w+>", lambda _: r"\w+(/\w+)*", re.escape(name)) for name in documented()]
    return {
        name
        for name in logged
        if not name.startswith("system/") and not any(re.fullmatch(line, name) for line in lines)
    }
