"""What people and models wrote, as it is shown: nothing in it steers a terminal or turns a line
around."""

import re

_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but for tab and newline, DEL, C1
    "\u200e\u200f\u202a-\u202e\u2066-\u2069"  # directions (CVE-2021-42574)
    "\ud800-\udfff]"
)


def printable(text: str) -> str:
    """The same text with a picture of each control character: ``␛`` for an escape.

    Example: ``printable("a\\x1b[2Jb")`` is ``"a␛[2Jb"``.
    """
    return _STEERING.sub(_seen, text.replace("\r\n", "\n"))


def one_line(text: str, *, limit: int) -> str:
    """Its words on one line of at most so many characters."""
    line = " ".join(printable(text).split())
    return line if len(line) <= limit else line[: limit - 2].rstrip() + " …"


def _seen(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else "\ufffd"
