"""A command line as a dataclass, and its ``--help``, of which 80 columns cut nothing.

tyro folds what it says of options, and leaves the prose above them as long as it is.
"""

import io
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from typing import TypeVar, cast

import tyro

Part = TypeVar("Part")
_HELP = {"-h", "--help"}
_WIDEST = 100
"""Columns of prose, however wide the terminal is: longer lines are hard to read."""
_ITEM = re.compile(r"\d+\. ")


class _Heard(io.TextIOWrapper):
    """What tyro says, with the colours and the letters that standard output would have had."""

    def __init__(self) -> None:
        self.kept = io.BytesIO()
        super().__init__(self.kept, encoding=sys.stdout.encoding, errors=sys.stdout.errors)
        self._is_terminal = sys.stdout.isatty()

    def isatty(self) -> bool:
        return self._is_terminal

    def text(self) -> str:
        self.flush()
        return self.kept.getvalue().decode(self.encoding)


def parse(
    config_type: type[Part], given: Sequence[str], *, prog: str, default: Part | None = None
) -> Part:
    """The configuration that a command line's words say.

    Args:
        prog: as ``--help`` shows the command; above the options stands what the script says of
            itself.
        default: what the words change; None where they have to say all that is required.

    Raises:
        SystemExit: an unknown option (2), or ``--help`` (0).
    """
    start = cast(Part, default)  # tyro too takes None for none
    if not _HELP & set(given):
        return tyro.cli(config_type, default=start, args=given, prog=prog)
    heard = _Heard()
    try:
        with redirect_stdout(heard):
            return tyro.cli(config_type, default=start, args=given, prog=prog, description="")
    finally:
        width = min(_WIDEST, shutil.get_terminal_size().columns)
        usage = f"usage: {prog} [OPTIONS]"
        print(textwrap.fill(usage, width, subsequent_indent="    ", break_on_hyphens=False))
        print()
        print(folded(sys.modules["__main__"].__doc__ or "", width))
        # Behind a usage in one line, however long.
        print(heard.text().partition("\n\n")[2], end="")


def folded(text: str, width: int) -> str:
    """A docstring as prose without markup: paragraphs and items are folded, code is left alone."""
    bare = text.replace("``", "").strip("\n")
    return "\n\n".join("\n".join(_paragraph(part, width)) for part in bare.split("\n\n")) + "\n"


def _paragraph(text: str, width: int) -> Iterator[str]:
    if text.startswith("    "):
        yield text
        return
    for item in re.split(r"\n(?=\d+\. )", text.strip()):
        words = " ".join(item.split())
        indent = "   " if _ITEM.match(words) else ""
        yield textwrap.fill(
            words, width, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
        )
