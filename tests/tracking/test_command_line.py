"""The prose of ``--help``: folded, and nothing of it lost."""

import sys
from dataclasses import dataclass

import pytest

from genagent_tracking import parse
from genagent_tracking.command_line import folded, refolded


@dataclass(frozen=True, kw_only=True)
class Config:
    """Options."""

    steps: int
    """Batches."""
    checkpoint_every_so_many_steps_of_the_learner: int = 1
    """Batches of rollouts, as many as there shall be: the first part of a help whose source breaks
    where
    nobody who reads it would."""


def test_prose_and_items_are_folded_and_commands_are_not():
    text = """Pictures, as ``draw`` has them.

1. ask for them, one by one, as agents want them;
2. look.

    uv run experiments/rl_flux.py flux-7b --policy FOLDER
"""
    assert folded(text, 30) == (
        "Pictures, as draw has them.\n\n"
        "1. ask for them, one by one,\n   as agents want them;\n2. look.\n\n"
        "    uv run experiments/rl_flux.py flux-7b --policy FOLDER\n"
    )


def test_help_is_usage_then_prose_then_options(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys.modules["__main__"], "__doc__", "One line.\n\n" + "word " * 40)
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        parse(Config, ["--help"], prog=f"mine.py [{' | '.join(['a-preset'] * 8)}]")
    assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    usage, title, option = (
        next(n for n, line in enumerate(lines) if part in line)
        for part in ("[OPTIONS]", "One line.", "--steps INT")
    )
    assert usage < title < option
    assert sum(line.count("usage:") for line in lines) == 1
    assert sum(line.count("word") for line in lines) == 40
    assert [line.strip("│ ") for line in lines[option + 2 : option + 5]] == [
        "Batches of rollouts, as many as there shall be: the first part of",
        "a help whose source breaks where nobody who reads it would.",
        "(default: 1)",
    ]


def test_a_blank_line_of_a_box_stays_as_it_is():
    box = ["│ About it.   │", "│             │", "│ Example: it │"]
    assert [line.plain for line in refolded("\n".join(box))] == box


def test_what_is_required_has_no_default():
    assert parse(Config, ["--steps", "3"], prog="mine.py") == Config(steps=3)
    with pytest.raises(SystemExit) as ended:
        parse(Config, [], prog="mine.py")
    assert ended.value.code == 2
