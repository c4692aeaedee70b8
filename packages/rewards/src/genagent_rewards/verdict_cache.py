"""Verdicts on disk, so that no question is paid for twice.

The key covers all that the answer depends on: the pictures' names, which are hashes of their
pixels, the request and its hints, the kind and order of the question, the wording
(``prompts.VERSION``) and the judge's name. A verdict that could not be had is never kept: it may
come the next time.
"""

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from genagent_rewards import prompts
from genagent_rewards.kept_file import KeptFile
from genagent_rewards.verdict import Choice, PairQuestion, PointQuestion, Verdict

_APPLICATION = 0x47415644
"""SQLite's application id of our files: "GAVD"."""
_TABLE = (
    "CREATE TABLE IF NOT EXISTS verdicts (key TEXT PRIMARY KEY, choice TEXT NOT NULL, "
    "reason TEXT NOT NULL, judge TEXT NOT NULL, raw TEXT NOT NULL) WITHOUT ROWID"
)
_CHOICES = {choice: choice for choice in get_args(Choice)}


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
        self._file = KeptFile(
            self.path, what="verdict cache ", application=_APPLICATION, table=_TABLE
        )

    def find(self, keys: Sequence[str]) -> dict[str, Verdict]:
        """The verdicts there are, by key. Raises ValueError for a damaged file."""
        found: dict[str, Verdict] = {}
        with self._file.reading() as database:
            for key in keys:
                row = database.execute(
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
        with self._file.writing() as database:
            database.execute("INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?, ?)", row)

    def __len__(self) -> int:
        with self._file.reading() as database:
            return database.execute("SELECT count(*) FROM verdicts").fetchone()[0]

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> "VerdictCache":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _verdict(self, choice: str, *words: str) -> Verdict:
        # SQLite's columns hold whatever is put there.
        if choice not in _CHOICES:
            raise sqlite3.DatabaseError(f"a verdict is {choice!r:.80}")
        if not all(isinstance(word, str) for word in words):
            raise sqlite3.DatabaseError(f"words of a verdict are {words!r:.80}")
        reason, judge, raw = words
        return Verdict(choice=_CHOICES[choice], reason=reason, judge=judge, raw=raw)
