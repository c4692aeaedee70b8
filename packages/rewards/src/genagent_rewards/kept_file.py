"""A SQLite file of what was paid for, which threads and processes may share."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PATIENCE_SECONDS = 60.0
"""How long another process that writes is waited for."""


_LOCKED = "; another process writes to it: wait for that, or stop it"
_NO_LOCKS = (
    "; on a network file system SQLite needs its locks and shared memory: "
    "give a folder on a local disk"
)
_REMEDIES = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_IOERR: _NO_LOCKS,
    sqlite3.SQLITE_PROTOCOL: _NO_LOCKS,
}
"""By SQLite's primary error code."""


class KeptFile:
    """One table, written ahead: a process killed at any moment has lost nothing. Close it."""

    def __init__(self, path: Path, *, what: str, application: int, table: str) -> None:
        """Opens or creates the file and the folders above it.

        Args:
            what: is said before the path in errors, as "verdict cache ".
            application: SQLite's application id, which tells our files from those of others.
            table: SQL that creates it where it is not there yet.

        Raises:
            ValueError: the file is damaged or another program's.
            OSError: it cannot be written.
        """
        if path.is_dir():
            raise ValueError(f"{what}{path} is a folder; name a file")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._name = f"{what}{path}"
        self._lock = threading.Lock()
        self._database = sqlite3.connect(
            path, timeout=_PATIENCE_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            with self._named():
                self._prepare(application, table)
        except BaseException:  # Ctrl-C too must not leave the file open
            self._database.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The database, for one thread at a time.

        Raises:
            ValueError: the file is damaged; sqlite3.DatabaseError inside says so too.
            OSError: it cannot be read, or is locked for good.
        """
        with self._lock, self._named():
            yield self._database

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The same within one transaction; what is written is kept when this ends.

        Raises:
            ValueError, OSError: as ``reading``, for want of room for instance.
        """
        with self.reading() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
            except BaseException:  # Ctrl-C too must not leave the file locked
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def _prepare(self, application: int, table: str) -> None:
        run = self._database.execute
        # One snapshot: another process may be creating the file right now.
        run("BEGIN")
        (found,) = run("PRAGMA application_id").fetchone()
        (tables,) = run("SELECT count(*) FROM sqlite_master").fetchone()
        run("COMMIT")
        if found != application and tables:
            raise ValueError(f"{self._name} is another program's database; move it away")
        (state,) = run("PRAGMA quick_check(1)").fetchone()
        if state != "ok":
            raise sqlite3.DatabaseError(" ".join(state.split()))
        self._write_ahead()
        # With WAL, a crash of the machine may cost the last rows; one of the process, none.
        run("PRAGMA synchronous=NORMAL")
        run("BEGIN IMMEDIATE")
        run(f"PRAGMA application_id={application}")
        run(table)
        run("COMMIT")

    def _write_ahead(self) -> None:
        """Sets the journal's mode, for which SQLite's own timeout does not wait."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                self._database.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                is_busy = error.sqlite_errorcode == sqlite3.SQLITE_BUSY
                if not is_busy or time.monotonic() > deadline:
                    raise
            time.sleep(0.02)

    @contextmanager
    def _named(self) -> Iterator[None]:
        """A full disk or a lasting lock as OSError, damage as ValueError, under the file's name."""
        try:
            yield
        except sqlite3.OperationalError as error:
            # Text that is none has the code of the last statement that went well.
            if "UTF-8" in str(error):
                raise self._damaged(error) from error
            code = getattr(error, "sqlite_errorcode", None)
            remedy = "" if code is None else _REMEDIES.get(code & 0xFF, "")
            raise OSError(f"{self._name}: {error}{remedy}") from error
        except sqlite3.DatabaseError as error:
            raise self._damaged(error) from error

    def _damaged(self, error: sqlite3.Error) -> ValueError:
        said = " ".join(str(error).split())
        return ValueError(f"{self._name} is damaged ({said}); move it away to begin anew")
