"""Verdicts on disk, so that no question is paid for twice.

The key covers all that the answer depends on: the pictures' names, which are hashes of their
pixels, the request and its hints, the kind and order of the question, the wording
(``prompts.VERSION``) and the judge's name. A verdict that could not be had is never kept: it may
come the next time.
"""

import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from genagent_rewards import prompts
from genagent_rewards.verdict import PairQuestion, PointQuestion, Verdict

_APPLICATION = 0x47415644
"""SQLite's application id of our files: "GAVD"."""
_PATIENCE_SECONDS = 60.0
"""How long another process that writes is waited for."""
_CHOICES = {choice: choice for choice in Verdict.__annotations__["choice"].__args__}


def question_key(question: PointQuestion | PairQuestion, judge: str) -> str:
    """Sha256 over everything that the verdict depends on, as hexadecimal digits."""
    if isinstance(question, PointQuestion):
        kind, pictures = "point", (question.picture,)
    else:
        kind, pictures = "pair", (question.first, question.second)
    parts = {
        "kind": kind,
        "prompts": prompts.VERSION,
        "judge": judge,
        "request": question.request,
        "hints": list(question.hints),
        "pictures": [picture.name for picture in pictures],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class VerdictCache:
    """A SQLite file that threads and processes may share. Close it, or use it in ``with``."""

    def __init__(self, path: str | Path) -> None:
        """Opens or creates the file and the folders above it.

        Raises:
            ValueError: the file is damaged or something other than a verdict cache.
            OSError: it cannot be written.
        """
        self.path = Path(path)
        if self.path.is_dir():
            raise ValueError(f"verdict cache {self.path} is a folder; name a file")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._database = sqlite3.connect(
            self.path, timeout=_PATIENCE_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            with self._reading():
                self._prepare()
        except BaseException:  # Ctrl-C too must not leave the file open
            self._database.close()
            raise

    def find(self, keys: Sequence[str]) -> dict[str, Verdict]:
        """The verdicts there are, by key. Raises ValueError for a damaged file."""
        found: dict[str, Verdict] = {}
        with self._lock, self._reading():
            for key in keys:
                row = self._database.execute(
                    "SELECT choice, reason, judge, raw FROM verdicts WHERE key = ?", (key,)
                ).fetchone()
                if row is not None:
                    found[key] = self._verdict(*row)
        return found

    def store(self, key: str, verdict: Verdict) -> None:
        """Kept at once: a process killed the next moment has lost nothing.

        Raises:
            OSError: it cannot be written, for want of room for instance.
        """
        row = (key, verdict.choice, verdict.reason, verdict.judge, verdict.raw)
        with self._lock, self._reading():
            self._database.execute("INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?, ?)", row)

    def __len__(self) -> int:
        with self._lock, self._reading():
            return self._database.execute("SELECT count(*) FROM verdicts").fetchone()[0]

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def __enter__(self) -> "VerdictCache":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _prepare(self) -> None:
        run = self._database.execute
        # One snapshot: another process may be creating the file right now.
        run("BEGIN")
        (application,) = run("PRAGMA application_id").fetchone()
        (tables,) = run("SELECT count(*) FROM sqlite_master").fetchone()
        run("COMMIT")
        if application != _APPLICATION and tables:
            raise ValueError(f"{self.path} is another program's database; name another file")
        (state,) = run("PRAGMA quick_check(1)").fetchone()
        if state != "ok":
            raise sqlite3.DatabaseError(" ".join(state.split()))
        self._write_ahead()
        # With WAL, a crash of the machine may cost the last verdicts; one of the process, none.
        run("PRAGMA synchronous=NORMAL")
        run("BEGIN IMMEDIATE")
        run(f"PRAGMA application_id={_APPLICATION}")
        run(
            "CREATE TABLE IF NOT EXISTS verdicts (key TEXT PRIMARY KEY, choice TEXT NOT NULL, "
            "reason TEXT NOT NULL, judge TEXT NOT NULL, raw TEXT NOT NULL) WITHOUT ROWID"
        )
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

    def _verdict(self, choice: str, reason: str, judge: str, raw: str) -> Verdict:
        if choice not in _CHOICES:
            raise sqlite3.DatabaseError(f"a verdict is {choice!r}")
        return Verdict(choice=_CHOICES[choice], reason=reason, judge=judge, raw=raw)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """A full disk or a lasting lock as OSError, damage as ValueError, under the file's name."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise OSError(f"verdict cache {self.path}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise ValueError(
                f"verdict cache {self.path} is damaged ({error}); move it away to begin anew"
            ) from error
