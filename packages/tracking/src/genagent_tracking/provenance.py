"""Where a run comes from: commit, script and user, as MLflow tags."""

import contextlib
import getpass
import subprocess
import sys
from pathlib import Path


def source_tags(directory: Path | None = None) -> dict[str, str]:
    """Tags under the names that MLflow's page knows, plus ``git.dirty``.

    Args:
        directory: where to look for a repository; the working directory by default. Outside one,
            or before its first commit, the git tags are absent.
    """
    tags = {"mlflow.source.type": "LOCAL", "mlflow.source.name": Path(sys.argv[0]).name}
    # A container may run under a user number that has no name.
    with contextlib.suppress(KeyError, OSError):
        tags["mlflow.user"] = getpass.getuser()
    commit = _git(["rev-parse", "HEAD"], directory)
    if commit is not None:
        tags["mlflow.source.git.commit"] = commit
        changes = _git(["status", "--porcelain", "--untracked-files=no"], directory)
        tags["git.dirty"] = str(bool(changes)).lower()
    return tags


def _git(arguments: list[str], directory: Path | None) -> str | None:
    command = ["git", *arguments]
    try:
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
