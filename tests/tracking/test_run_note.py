from pathlib import Path

from genagent_tracking.run_note import RunNote, plain, table


def test_text_of_models_and_servers_is_shown_as_it_is():
    assert plain("<b>*one*</b>\n| [x](y)") == r"\<b\>\*one\*\</b\> \| \[x\](y)"


def test_a_long_table_says_what_it_leaves_out():
    rows = [{"task": "count", "share": 1 / 3} for _ in range(42)]
    lines = table(rows).splitlines()
    apart = "\u00a0\u00a0"
    assert lines[:3] == [
        f"| task{apart} | share{apart} |",
        "| --- | --- |",
        f"| count{apart} | 0.3333{apart} |",
    ]
    assert lines[-1] == "(2 more rows)"


def test_a_run_that_learns_nothing_speaks_of_no_steps():
    note = RunNote(name="evaluate", folder=Path("runs/evaluate-1"))
    note.figures = {"answered": 8, "cells": []}
    said = note.markdown("finished", step=0).replace("\u00a0", "")
    assert said.startswith("**Finished.**\n\n| figure | value |\n| --- | --- |\n| answered | 8 |")
    assert "step" not in said
    assert "**Folder**: `runs/evaluate-1`" in said
    killed = note.markdown("killed", step=0)
    assert killed.startswith("**Stopped.** The same command goes on with it.")


def test_a_note_is_never_longer_than_mlflow_takes():
    note = RunNote(name="job", found=["x" * 500] * 40)
    said = note.markdown("failed", step=0, error=ValueError("y" * 9000))
    assert len(said) < 8000
    assert said.endswith("… (cut)")
