"""What a server said: bounded, unpacked and cleaned before anybody reads it."""

import asyncio
import json
import math
import re
import zlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from genagent_endpoints.failures import Lost

MAX_VALUES = 1_000_000
"""Of an answer's JSON. 128 MiB of brackets would take 5 GB to hold; pictures are one long text, and
a turn of 16,384 tokens with their log-probs has 100,000 values."""
_WORDS = 300
"""Characters of an error that are worth a line."""
_TOO_LONG = 100
"""Times as much as is quoted of it: the rest of a text is not looked at."""
_PIECE = 1024 * 1024
"""Bytes that are unpacked at a time; other requests go on in between."""
_LONE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One answer, whole."""

    url: str
    """That was asked."""
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    attempts: int = 1
    """That it took."""
    secret: str = field(default="", repr=False)
    """That was sent, and is struck from what is quoted."""

    def json(self) -> object:
        """The body as JSON, in which half a surrogate pair, legal there but nowhere to be
        written, has become ``?``.

        Raises:
            Lost: it is none, or has more than ``MAX_VALUES`` values.
        """
        if sum(map(self.body.count, (b",", b"[", b"{"))) > MAX_VALUES:
            raise Lost(f"the answer has over {MAX_VALUES} values")
        try:
            value = json.loads(self.body)
            if _LONE_SURROGATE.search(self.body):
                text = json.dumps(value, ensure_ascii=False)
                value = json.loads(text.encode("utf-8", "replace"))
        except (ValueError, RecursionError) as error:
            raise Lost(f"the answer is not JSON ({error})") from error
        return value

    def words(self) -> str:
        """What an error's body says, in one short line."""
        try:
            said = json.loads(self.body)
        except (ValueError, RecursionError):
            said = self.body.decode("utf-8", "replace")
        if isinstance(said, dict):
            said = said.get("error", said.get("detail", said))
        if isinstance(said, dict):
            said = said.get("message", said)
        return self.quote(said)

    def quote(self, said: object, most: int = _WORDS) -> str:
        """Of what it said, so many characters at most, on one line and without the secret."""
        return quote(str(said), self.secret, most)

    def retry_after(self) -> float | None:
        """Seconds for which the server asks to be left alone; None where it does not say."""
        return retry_after(self.headers.get("retry-after"), datetime.now(UTC))


def clean(text: str) -> str:
    """Text from outside on one line, without what steers a terminal or cannot be written."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def quote(text: str, secret: str, most: int = _WORDS) -> str:
    """The beginning of a text from outside on one line, without a secret that it echoes."""
    kept = text[: _TOO_LONG * most]
    if secret:
        # Of a secret that is cut in two, nothing would be found: it is struck before the text is
        # cut, and what may be the half of one at the end goes.
        end = 0 if len(kept) == len(text) else len(secret)
        kept = kept.replace(secret, "...")
        kept = kept[: len(kept) - end]
    return clean(kept)[:most]


def retry_after(header: str | None, now: datetime) -> float | None:
    """What a Retry-After header says, as seconds from now; None: nothing that can be read."""
    text = (header or "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{0,9})?", text):
        return float(text)
    try:
        date = parsedate_to_datetime(text)
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now.timestamp()
    except (ValueError, OverflowError, TypeError):
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


async def read_bounded(chunks: AsyncIterator[bytes], encoding: str, limit: int) -> bytes:
    """A whole body.

    Args:
        chunks: as they come in.
        encoding: the answer's Content-Encoding; servers are asked for none, some use gzip or
            deflate all the same.

    Raises:
        Lost: it is longer than allowed, packed or unpacked, cannot be unpacked, or is packed in
            another way.
    """
    body = bytearray()
    if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise Lost(f"the answer is packed as {clean(encoding)[:20]}, which was not asked for")
    if encoding in ("", "identity"):
        async for chunk in chunks:
            body += chunk
            if len(body) > limit:
                raise Lost(f"the answer is over {limit} bytes")
        return bytes(body)
    packed, unpacking = 0, zlib.decompressobj(_GZIP_OR_ZLIB)
    async for chunk in chunks:
        packed += len(chunk)
        while chunk:
            try:
                body += unpacking.decompress(chunk, _PIECE)
            except zlib.error as error:
                raise Lost(f"the answer cannot be unpacked ({error})") from error
            if max(packed, len(body)) > limit:
                raise Lost(f"the answer is over {limit} bytes")
            chunk = unpacking.unconsumed_tail
            await asyncio.sleep(0)
    if not unpacking.eof:
        raise Lost("the answer is cut off")
    return bytes(body)


_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
"""What zlib takes this for: either, as the first bytes say."""
