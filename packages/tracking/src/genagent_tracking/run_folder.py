"""Folders of runs: a fresh one, an unfinished one, files that are whole or not there."""

import os
import time
from pathlib import Path


def make_run_folder(runs: Path, name: str) -> Path:
    """A fresh folder named by experiment and time. Raises OSError where it cannot be made."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for suffix in ("", *(f"-{number}" for number in range(2, 100))):
        path = runs / f"{name}-{stamp}{suffix}"
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            if runs.exists() and not runs.is_dir():
                raise
            continue
        return path
    raise FileExistsError(f"{runs} holds too many runs of {stamp}; wait a second")


def find_unfinished(runs: Path, name: str, document: str) -> Path | None:
    """The latest run of this configuration that has not finished, if any."""
    for path in sorted(runs.glob(f"{name}-*"), reverse=True):
        config = path / "config.json"
        if not config.exists() or config.read_text(encoding="utf-8") != document:
            continue
        if (path / "state").is_dir() or not (path / "summary.json").exists():
            return path
    return None


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all. Raises OSError where it cannot be written."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
