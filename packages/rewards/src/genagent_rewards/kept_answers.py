"""What was paid for, on disk: a model's words, a tool's pictures by name, kept as they come.

Like ``VerdictCache``: a key covers all that an answer depends on, and what could not be had is not
kept, for it may come the next time.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from genagent_rewards.chat import ChatModel, ChatReply, ChatRequest
from genagent_rewards.kept_file import KeptFile
from genagent_rewards.picture import Picture

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
                if row is None:
                    continue
                if not isinstance(row[0], str):  # SQLite's columns hold whatever is put there
                    raise sqlite3.DatabaseError(f"an answer is {row[0]!r:.80}")
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

    def __init__(
        self, chat: ChatModel, kept: KeptAnswers, *, max_tokens: int | None = None
    ) -> None:
        """
        Args:
            max_tokens: of a reply; what was refused under another limit, which may have cut it off,
                is asked for again.
        """
        self._chat = chat
        self._kept = kept
        self._limit = () if max_tokens is None else (max_tokens,)

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
        keys = [chat_key(self.name, request) for request in requests]
        refused = [chat_key(self.name, request, *self._limit) for request in requests]
        there = {key: read_reply(text) for key, text in self._kept.find([*keys, *refused]).items()}
        if self._limit:  # what was refused before limits were kept may have been cut off
            there = {k: reply for k, reply in there.items() if k in refused or reply.text}
        found = {
            key: there.get(key) or there[other]
            for key, other in zip(keys, refused, strict=True)
            if key in there or other in there
        }
        unasked = [key for key in dict.fromkeys(keys) if key not in found]
        places: dict[str, list[int]] = {}
        for place, key in enumerate(keys):
            places.setdefault(key, []).append(place)

        def tell(key: str) -> None:
            if arrived is not None:
                for place in places[key]:
                    arrived(place, found[key])

        def keep(number: int, reply: ChatReply) -> None:
            key = unasked[number]
            if key in found:
                return
            found[key] = reply
            if worth_keeping(reply):
                where = refused[places[key][0]] if reply.text is None else key
                self._kept.store([(where, write_reply(reply))])
            tell(key)

        for key in list(found):
            tell(key)
        if unasked:
            asked = [requests[places[key][0]] for key in unasked]
            # The second time for a model that only answers all at once.
            for number, reply in enumerate(self._chat.reply(asked, accept=accept, arrived=keep)):
                keep(number, reply)
        return [found[key] for key in keys]


def chat_key(model: str, request: ChatRequest, *more: object) -> str:
    """What a reply of this model is kept under.

    Args:
        more: what else tells replies to the same question apart; JSON can hold it.
    """
    parts = [
        part if isinstance(part, str) else {"picture": Picture.of(part).name}
        for part in request.parts
    ]
    return answer_key("chat", model, request.system, parts, *more)


def worth_keeping(reply: ChatReply) -> bool:
    """Whether there were any words; a request that was left without may be put again."""
    return reply.text is not None or bool(reply.raw)


def write_reply(reply: ChatReply) -> str:
    """As it is kept."""
    return json.dumps(asdict(reply))


def read_reply(text: str) -> ChatReply:
    """What ``write_reply`` wrote."""
    return ChatReply(**json.loads(text))
