"""Folders of runs: a fresh one, one to go on with, locks, files that are whole or not there."""

import json
import os
import sys
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

MAY_DIFFER = (
    *("steps", "evaluate_every", "distributed"),
    *("run.checkpoint_every", "run.keep_checkpoints", "run.keep_every", "run.threads"),
    *("policy.device", "policy.attention", "policy.checkpoint_activations"),
    *("engine", "sampling.max_batch", "grpo.micro_batch_tokens", "sft.micro_batch_tokens"),
    *("world.tool_device", "world.tool_concurrency", "world.tool_seconds", "world.tool_token_env"),
    *("world.tool_probe_seconds", "world.judge_device", "world.judge_concurrency"),
    *("world.judge_batch", "world.judge_tokens", "world.judge_seconds"),
    "world.judge_key_env",
)
"""Options that make no other run of one: how far it goes, where and by how many processes, in what
portions, how patiently, and how much of it is kept. None changes what is learnt by more than float
noise, and all of them may have to change after a full memory or disk."""
MAY_MOVE = ("world.tool", "world.judge")
"""Options that may name other servers; a server may not become a model here, nor the other way."""


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


def lock_folder(folder: Path) -> IO[str]:
    """Hold a run's folder for this process, until the file that is returned is closed.

    Raises:
        ValueError: another process runs it, or its file system knows no locks.
    """
    file = (folder / "lock").open("a+", encoding="utf-8")
    if sys.platform == "win32":
        return file
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        holder = file.read().strip() or "another"
        file.close()
        raise ValueError(
            f"{folder} is still running (process {holder}); wait, or stop it"
        ) from error
    except OSError as error:  # Lustre mounted without flock says ENOSYS, NFS without lockd ENOLCK
        file.close()
        raise ValueError(
            f"{folder} cannot be locked ({error.strerror}), as two processes in it would undo each "
            "other's work; give a folder on a file system with locks, such as a local disk"
        ) from error
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


@dataclass(frozen=True, kw_only=True, slots=True)
class Earlier:
    """A run that was begun before."""

    folder: Path
    has_finished: bool
    is_done: bool
    """It has finished, with as many steps as are wanted."""


def same_run(runs: Path, name: str, document: str) -> Earlier | None:
    """The latest run of this configuration; None where there is none.

    More ``steps`` make no other run of one that has ended with fewer, nor do the other options that
    ``MAY_DIFFER``, nor servers elsewhere; everything else must be as it was.

    Raises:
        ValueError: the summary of a run is damaged; names it.
    """
    return next(
        (found for found, difference in _earlier_runs(runs, name, document) if difference is None),
        None,
    )


def find_earlier(runs: Path, name: str, document: str) -> Earlier | None:
    """As ``same_run``, for ``--resume``.

    Raises:
        ValueError: there is none, but an unfinished run of other options; names the first that
            differs. Or as ``same_run``.
    """
    if same := same_run(runs, name, document):
        return same
    for found, difference in _earlier_runs(runs, name, document):
        if not found.has_finished:
            raise ValueError(
                f"--resume: the unfinished run {found.folder} differs in {difference}; give it the "
                "options that it had, or leave --resume out"
            )
    return None


def _earlier_runs(runs: Path, name: str, document: str) -> Iterator[tuple[Earlier, str | None]]:
    """Each, the latest first, and the first option in which it differs."""
    steps = json.loads(document).get("steps", 0)
    for folder in sorted(runs.glob(f"{name}-*"), reverse=True):
        try:
            found = (folder / "config.json").read_text(encoding="utf-8")
            difference = first_difference(found, document, but=MAY_DIFFER, servers=MAY_MOVE)
        except (OSError, ValueError):  # a folder that was only begun, or is damaged
            continue
        summary = _summary(folder)
        has_finished = summary.get("status") == "finished"
        is_done = has_finished and summary.get("steps", 0) >= steps
        yield Earlier(folder=folder, has_finished=has_finished, is_done=is_done), difference


def first_difference(
    found: str, wanted: str, *, but: Collection[str] = (), servers: Collection[str] = ()
) -> str | None:
    """The first option, by name, in which two configurations differ, such as ``seed (0, now 1)``.
    One that the found configuration does not know has come with later code, and does not count.

    Args:
        found: as ``config_to_json`` writes it.
        wanted: likewise.
        but: dotted names that may differ, with all that is below them.
        servers: those of which two addresses do not differ.

    Raises:
        ValueError: one of them is no JSON, or nested beyond all reason.
    """
    try:
        old, new = config_leaves(json.loads(found)), config_leaves(json.loads(wanted))
    except RecursionError as error:
        raise ValueError("a configuration is nested too deep to be one") from error
    differing = [
        f"{key} ({old.get(key)}, now {new.get(key)})"
        for key in old
        if old.get(key) != new.get(key)
        and not any(key == name or key.startswith(f"{name}.") for name in but)
        and not (key in servers and _is_address(old.get(key)) and _is_address(new.get(key)))
    ]
    return min(differing, default=None)


def _is_address(value: object) -> bool:
    return isinstance(value, str) and value.startswith(("http://", "https://"))


def _summary(folder: Path) -> dict[str, Any]:
    """Empty where the run has not ended.

    Raises:
        ValueError: the file holds something else; names it.
    """
    path = folder / "summary.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no summary ({error}); move it away") from error
    if not isinstance(found, dict) or not isinstance(found.get("steps", 0), int):
        raise ValueError(f"{path} is no summary ({found!r:.80}); move it away")
    return found


def config_leaves(value: Any, name: str = "") -> dict[str, Any]:
    """A configuration's values by dotted names."""
    if not isinstance(value, dict):
        return {name: value}
    return {
        key: leaf
        for part, item in value.items()
        for key, leaf in config_leaves(item, f"{name}.{part}" if name else part).items()
    }
