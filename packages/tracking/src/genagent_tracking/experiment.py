"""The command line of an experiment: preset, options, run folder, exit codes.

``<script> [preset | config.json] [--options] [--resume]``. Bad input ends with one line and exit
code 2, a failure in mid-run with one line and exit code 1, Ctrl-C with 130 unless the experiment
handled it.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

import tyro

from genagent_tracking.config import config_from_json, config_to_json
from genagent_tracking.console import print_error, print_line
from genagent_tracking.tracker import TrackingError

Config = TypeVar("Config")


def run_experiment(
    name: str,
    main: Callable[[Config, Path], None],
    config_type: type[Config],
    presets: Mapping[str, Config],
    *,
    folder: Callable[[Config], Path],
    arguments: Sequence[str] | None = None,
) -> None:
    """Read the command line, make the run's folder with its ``config.json``, and run.

    With ``--resume`` the folder is that of the latest run of the same configuration that still has
    a ``state`` folder in it, where there is one.

    Args:
        main: the experiment; takes its configuration and the run's folder. A ``ValueError`` out of
            it is bad input.
        presets: by name; the first is the default.
        folder: where the configuration wants its runs.
        arguments: instead of the command line's.

    Raises:
        SystemExit: on bad input (2) and on failure (1).
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    resume = "--resume" in given
    try:
        config = _read(config_type, presets, [w for w in given if w != "--resume"], name)
        document = config_to_json(config)
        unfinished = _unfinished(folder(config), name, document) if resume else None
        if resume:
            print_line(f"going on with {unfinished}" if unfinished else "nothing to go on with")
        run_folder = unfinished or make_run_folder(folder(config), name)
        write_text(run_folder / "config.json", document)
    except (ValueError, OSError) as error:
        _stop(str(error), 2)
    try:
        main(config, run_folder)
    except ValueError as error:
        _stop(str(error), 2)
    except (OSError, RuntimeError, TrackingError) as error:
        _stop(f"{type(error).__name__}: {error}", 1)
    except KeyboardInterrupt:
        _stop("stopped before anything was learnt", 130)


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all. Raises OSError where it cannot be written."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


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


def _unfinished(runs: Path, name: str, document: str) -> Path | None:
    """The latest run of this configuration that was not ended, if any."""
    for path in sorted(runs.glob(f"{name}-*"), reverse=True):
        config = path / "config.json"
        if (path / "state").is_dir() and config.read_text(encoding="utf-8") == document:
            return path
    return None


def _read(
    config_type: type[Config], presets: Mapping[str, Config], given: list[str], name: str
) -> Config:
    default = next(iter(presets.values()))
    if given and not given[0].startswith("-"):
        word = given.pop(0)
        if word.endswith(".json"):
            default = config_from_json(config_type, Path(word).read_text(encoding="utf-8"))
        elif word in presets:
            default = presets[word]
        else:
            known = ", ".join(presets)
            raise ValueError(f"unknown preset {word!r}; known: {known}, or a run's config.json")
    return tyro.cli(
        config_type,
        default=default,
        args=given,
        prog=f"{name}.py [{' | '.join(presets)} | config.json] [--resume]",
        description=sys.modules["__main__"].__doc__,
    )


def _stop(message: str, code: int) -> NoReturn:
    print_error(" ".join(message.split()) or "failed without a message")
    raise SystemExit(code)
