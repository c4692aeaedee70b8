"""Reaching an MLflow store: its address, a check that takes seconds, one clear error.

MLflow retries a store that does not answer for a minute and longer, and a fault of its database
comes as a page of SQLAlchemy; here both become one ``TrackingError`` that names the store.
"""

import logging
import os
import sqlite3
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from genagent_endpoints import public_url
from genagent_tracking.record import TrackingError

DEFAULT_URI = "sqlite:///mlflow.db"
_SQLITE = "sqlite:///"
_ANSWER_SECONDS = 5.0
_NOISY = ("mlflow", "alembic")


def resolve_uri(uri: str | None) -> str:
    """The store's address: the one given, ``MLFLOW_TRACKING_URI``, or the default."""
    return uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI


def artifact_location(uri: str, experiment: str) -> str | None:
    """Where a new experiment keeps its files: ``mlruns`` beside a SQLite file.

    None leaves it to the store, which is what a server wants.
    """
    if not uri.startswith(_SQLITE):
        return None
    folder = Path(uri.removeprefix(_SQLITE)).absolute().parent / "mlruns"
    return (folder / quote(experiment, safe=" ")).as_uri()


def check_store(uri: str) -> None:
    """Raises TrackingError where the store cannot be written or does not answer."""
    if uri.startswith(_SQLITE):
        _check_sqlite(uri)
    elif uri.startswith(("http://", "https://")):
        _check_server(uri)


@contextmanager
def one_at_a_time(uri: str) -> Iterator[None]:
    """Lets one process at a time set up a SQLite store: its migrations do not lock each other out.

    The folder and not the file is locked: closing a second handle on the file would drop SQLite's
    own locks.

    Raises:
        TrackingError: the folder cannot be made or read.
    """
    if sys.platform == "win32" or not uri.startswith(_SQLITE):
        yield
        return
    import fcntl

    folder = Path(uri.removeprefix(_SQLITE)).absolute().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise _error(uri, str(error)) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def clear_errors(uri: str) -> Iterator[None]:
    """Turns what goes wrong with the store inside into one TrackingError."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise _error(uri, str(error)) from error


def silence() -> dict[str, int]:
    """Lets MLflow and its migrations log errors only; returns the levels for ``restore``."""
    levels = {name: logging.getLogger(name).level for name in _NOISY}
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)
    return levels


def restore(levels: dict[str, int]) -> None:
    """Sets the levels that ``silence`` returned."""
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def _error(uri: str, reason: str) -> TrackingError:
    lines = reason.strip().splitlines()
    return TrackingError(
        f"cannot use the MLflow store {public_url(uri)}: "
        f"{public_url(lines[0]) if lines else 'unknown fault'}; "
        "check its disk and permissions, or set MLFLOW_TRACKING_URI to another store"
    )


def _check_sqlite(uri: str) -> None:
    path = Path(uri.removeprefix(_SQLITE))
    try:
        with closing(sqlite3.connect(path, timeout=_ANSWER_SECONDS)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("CREATE TABLE genagent_can_write (id INTEGER)")
            connection.execute("ROLLBACK")
    except (sqlite3.Error, OSError) as error:
        raise _error(uri, str(error)) from error


def _check_server(uri: str) -> None:
    address = f"{public_url(uri).rstrip('/')}/health"
    try:
        with urllib.request.urlopen(address, timeout=_ANSWER_SECONDS):
            pass
    except urllib.error.HTTPError:
        pass  # Something answers; what it refuses shows in the first real call.
    except (OSError, ValueError) as error:
        raise _error(uri, str(getattr(error, "reason", error))) from error
