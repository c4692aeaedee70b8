"""What was paid for, on disk: the teacher's words and the tool's pictures, kept as they come.

Like ``VerdictCache``: a key covers all that an answer depends on, and what could not be had is not
kept, for it may come the next time.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from genagent_rewards import ChatModel, ChatReply, ChatRequest, KeptFile, Picture

_APPLICATION = 0x47415041
"""SQLite's application id of our files: "GAPA"."""
_TABLE = (
    "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID"
)


def answer_key(*parts: object) -> str:
    """Sha256 over the parts, which JSON can hold."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class KeptAnswers:
    """Texts by key in a SQLite file that threads may share. Close it, or use it in ``with``."""

    def __init__(self, path: Path) -> None:
        """Opens or creates the file and the folders above it.

        Raises:
            ValueError: the file is damaged or another program's.
            OSError: it cannot be written.
        """
        self._file = KeptFile(path, what="", application=_APPLICATION, table=_TABLE)

    def find(self, keys: Sequence[str]) -> dict[str, str]:
        """The answers there are, by key. Raises ValueError for a damaged file."""
        found: dict[str, str] = {}
        with self._file.reading() as database:
            for key in keys:
                row = database.execute(
                    "SELECT answer FROM answers WHERE key = ?", (key,)
                ).fetchone()
                if row is not None:
                    found[key] = row[0]
        return found

    def store(self, answers: Sequence[tuple[str, str]]) -> None:
        """Kept at once: a process killed the next moment has lost nothing.

        Raises:
            OSError: they cannot be written, for want of room for instance.
        """
        with self._file.writing() as database:
            database.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?)", answers)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> "KeptAnswers":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class KeptChat:
    """A chat model whose words are kept as they come; a ``ChatModel``.

    Words that were refused to the last were paid for too and are kept with their refusal; a request
    that an endpoint left without words is put again the next time.
    """

    def __init__(self, chat: ChatModel, kept: KeptAnswers) -> None:
        self._chat = chat
        self._kept = kept

    @property
    def name(self) -> str:
        return self._chat.name

    def reply(
        self,
        requests: Sequence[ChatRequest],
        *,
        accept: Callable[[str], bool],
        arrived: Callable[[int, ChatReply], None] | None = None,
    ) -> list[ChatReply]:
        """As ``ChatModel.reply``, of the requests that have no answer yet.

        Raises:
            ValueError: the configuration is wrong, so that no request can succeed.
            OSError: an answer cannot be kept.
        """
        keys = [self._key(request) for request in requests]
        found = {key: _read(text) for key, text in self._kept.find(keys).items()}
        unasked = [key for key in dict.fromkeys(keys) if key not in found]
        by_key = dict(zip(keys, requests, strict=True))
        stored: set[str] = set()

        def keep(place: int, reply: ChatReply) -> None:
            key = unasked[place]
            found[key] = reply
            if key not in stored and (reply.text is not None or reply.raw):
                stored.add(key)
                self._kept.store([(key, json.dumps(asdict(reply)))])

        if unasked:
            replies = self._chat.reply(
                [by_key[key] for key in unasked], accept=accept, arrived=keep
            )
            # For a model that only answers all at once.
            for place, reply in enumerate(replies):
                keep(place, reply)
        answers = [found[key] for key in keys]
        if arrived is not None:
            for place, reply in enumerate(answers):
                arrived(place, reply)
        return answers

    def _key(self, request: ChatRequest) -> str:
        parts = [
            part if isinstance(part, str) else {"picture": Picture.of(part).name}
            for part in request.parts
        ]
        return answer_key("chat", self.name, request.system, parts)


def _read(text: str) -> ChatReply:
    return ChatReply(**json.loads(text))
