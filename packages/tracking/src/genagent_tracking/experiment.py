"""The command line of an experiment: preset, options, resume, exit codes.

``<script> [preset | config.json] [--options] [--resume | --check]``. Bad input ends with a line for
each fault and exit code 2, a failure in mid-run with one line and exit code 1, Ctrl-C with 130
unless something had been learnt, SIGTERM with 143.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, NoReturn, Protocol, TypeVar

import tyro

from genagent_tracking.command_line import parse
from genagent_tracking.config import config_from_json, config_to_json
from genagent_tracking.console import (
    is_following,
    print_error,
    print_line,
    quiet_libraries,
    say_nothing,
)
from genagent_tracking.failure import error_line
from genagent_tracking.following_run import FollowingRun
from genagent_tracking.interrupt import STOPPED, exit_code
from genagent_tracking.record import TrackingError
from genagent_tracking.run import Run
from genagent_tracking.run_config import RunConfig
from genagent_tracking.run_folder import Earlier, find_earlier, same_run
from genagent_tracking.run_name import changed_options

Part = TypeVar("Part")
Flat = Annotated[Part, tyro.conf.arg(name="")]
"""A part of a configuration whose options have no prefix."""


class ExperimentConfig(Protocol):
    """What every experiment's configuration has."""

    @property
    def run(self) -> RunConfig: ...


Config = TypeVar("Config", bound=ExperimentConfig)


def run_experiment(
    name: str,
    main: Callable[[Config, Run], None],
    config_type: type[Config],
    presets: Mapping[str, Config],
    *,
    keeps_its_work: bool = False,
    check: Callable[[Config], Sequence[str]] | None = None,
    plan: Callable[[Config, Sequence[str]], None] | None = None,
    arguments: Sequence[str] | None = None,
) -> None:
    """Read the command line and run.

    With ``--resume`` it goes on with the latest run of the same configuration, where there is one;
    one that has finished goes on where more steps are wanted, and else there is nothing to do.
    With ``--check`` options and files are looked at and nothing is run: useful before servers are
    started.

    Of several processes that a launcher has started, the first keeps and says everything.

    Args:
        main: the experiment. A ``ValueError`` or ``OSError`` out of it is bad input until the run
            is being recorded, and a failure from then on; an ``ExceptionGroup`` is several.
        presets: by name; the first is the default.
        keeps_its_work: what it makes stands in a folder of its own and goes on there, however it
            was ended: the same command is the same run, with ``--resume`` or without.
        check: what keeps a run of this configuration from beginning, a line each, as far as it can
            be said before any server or launcher is started; None: the options are all.
        plan: says what a run of this configuration would take, on ``--plan``; it is given the words
            ``--plan.…`` without ``plan.``. Nothing is run then.
        arguments: instead of the command line's.

    Raises:
        SystemExit: on bad input (2), on failure (1), on Ctrl-C before anything was recorded (130),
            and on SIGTERM (143).
    """
    quiet_libraries()
    if is_following():
        say_nothing()
    given = list(sys.argv[1:] if arguments is None else arguments)
    # The deepspeed launcher's own, which it also tells by LOCAL_RANK.
    given = [word for word in given if not word.startswith("--local_rank=")]
    resume, checks = "--resume" in given, "--check" in given
    given, planned = plan_words(given) if plan is not None else (given, None)
    try:
        prog = f"{name}.py [{' | '.join(presets)} | config.json] [--resume | --check]"
        prog += " [--plan]" if plan is not None else ""
        words = [word for word in given if word not in ("--resume", "--check")]
        config = read_config(config_type, presets, words, prog=prog)
        document = config_to_json(config)
        if plan is not None and planned is not None:
            plan(config, planned)
            return
        if checks:
            refuse([] if check is None else check(config))
            files = "" if check is None else " and the files that they name can be used"
            print_line(f"all options are valid{files}; nothing was run")
            return
    except ExceptionGroup as group:
        stop(group.exceptions, 2)
    except (ValueError, OSError) as error:
        stop([error], 2)
    set_threads(config.run.threads)
    folder = None
    if resume:
        folder = _resumed(config.run.runs, name, document)
    elif keeps_its_work and (same := _same(config.run.runs, name, document)):
        folder = _going_on(same.folder)
    changes = changed_options(config, presets)
    kind = FollowingRun if is_following() else Run
    run = kind(name, config.run, config, folder=folder, changes=changes)
    try:
        with run.loading():
            main(config, run)
    except ExceptionGroup as group:
        stop(group.exceptions, 1 if run.has_begun else 2)
    except (ValueError, OSError, RuntimeError, TrackingError) as error:
        stop([error], 1 if run.has_begun else 2)
    except KeyboardInterrupt:
        said = KeyboardInterrupt("stopped" if run.has_begun else STOPPED)
        stop([said], exit_code())


def plan_words(given: Sequence[str]) -> tuple[list[str], list[str] | None]:
    """What is said of the run, and what of its plan; None: no plan is asked for.

    Example: ``["--steps", "3", "--plan", "--plan.gpus", "8"]`` are ``["--steps", "3"]`` and
    ``["--gpus", "8"]``; ``--help`` behind ``--plan`` is that of the plan.
    """
    if not any(word.partition("=")[0].partition(".")[0] == "--plan" for word in given):
        return list(given), None
    of_run: list[str] = []
    of_plan: list[str] = []
    words = of_run
    for word in given:
        if word.startswith("--"):
            is_of_plan = word.startswith("--plan.") or word == "--help"
            words = of_plan if is_of_plan else of_run
        if word != "--plan":
            words.append(word.replace("--plan.", "--", 1) if words is of_plan else word)
    return of_run, of_plan


def _resumed(runs: Path, name: str, document: str) -> Path | None:
    try:
        earlier = find_earlier(runs, name, document)
    except ValueError as error:
        stop([error], 2)
    if earlier is None:
        print_line("nothing to go on with; a new run")
        return None
    if earlier.is_done:
        more = "; more --steps would go on with it" if "steps" in json.loads(document) else ""
        print_line(f"{earlier.folder} has finished{more}")
        print_line(str(earlier.folder / "summary.json"))
        raise SystemExit(0)
    return _going_on(earlier.folder)


def _same(runs: Path, name: str, document: str) -> Earlier | None:
    try:
        return same_run(runs, name, document)
    except ValueError as error:
        stop([error], 2)


def _going_on(folder: Path) -> Path:
    print_line(f"going on with {folder}")
    return folder


def set_threads(threads: int) -> None:
    """How many threads torch computes with, and what they do while they wait.

    OpenMP's threads spin while they wait for one another. Beside one busy process on two cores, two
    steps of the miniature took 295 s so, 43 s with passive waiting and 38 s with one thread; 39, 45
    and 41 s alone. It reads both variables when torch loads; a choice of the user's stands.

    Args:
        threads: 0 leaves their number to torch and to ``OMP_NUM_THREADS``.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    if threads:
        os.environ["OMP_NUM_THREADS"] = str(threads)
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(threads)


def refuse(problems: Sequence[str]) -> None:
    """Nothing where there are no problems.

    Raises:
        ExceptionGroup: of a ValueError for each.
    """
    if problems:
        raise ExceptionGroup("bad input", [ValueError(problem) for problem in problems])


def read_config(
    config_type: type[Part], presets: Mapping[str, Part], given: Sequence[str], *, prog: str
) -> Part:
    """What a command line's words say: a preset or a run's ``config.json``, then options.

    Args:
        presets: by name; the first is the default.
        prog: as ``--help`` shows the command.

    Raises:
        ValueError: an unknown preset, or a configuration that cannot be.
        OSError: the file cannot be read.
        SystemExit: an unknown option (2), or ``--help`` (0).
    """
    given = list(given)
    default = next(iter(presets.values()))
    if given and not given[0].startswith("-"):
        word = given.pop(0)
        if word.endswith(".json"):
            default = _from_file(config_type, Path(word))
        elif word in presets:
            default = presets[word]
        else:
            known = ", ".join(presets)
            raise ValueError(f"unknown preset {word!r}; known: {known}, or a run's config.json")
    return parse(config_type, given, prog=prog, default=default)


def _from_file(config_type: type[Part], path: Path) -> Part:
    text = path.read_bytes()
    try:
        return config_from_json(config_type, text.decode())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def stop(errors: Sequence[BaseException], code: int) -> NoReturn:
    """End the program with a line for each error and this exit code."""
    for error in errors:
        print_error(error_line(error))
    raise SystemExit(code)
