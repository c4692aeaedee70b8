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
from typing import TypeVar

import tyro

Part = TypeVar("Part")
_HELP = {"-h", "--help"}
_WIDEST = 100
"""Columns of prose, however wide the terminal is: longer lines are hard to read."""
_ITEM = re.compile(r"\d+\. ")


class _Heard(io.StringIO):
    """What tyro says, with the colours and the letters that standard output would have had."""

    @property
    def encoding(self) -> str:
        return getattr(sys.__stdout__, "encoding", "ascii")

    def isatty(self) -> bool:
        return sys.__stdout__ is not None and sys.__stdout__.isatty()


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
    if not _HELP & set(given):
        return tyro.cli(config_type, default=default, args=given, prog=prog)
    heard = _Heard()
    try:
        with redirect_stdout(heard):
            return tyro.cli(config_type, default=default, args=given, prog=prog, description="")
    finally:
        width = min(_WIDEST, shutil.get_terminal_size().columns)
        usage = f"usage: {prog} [OPTIONS]"
        print(textwrap.fill(usage, width, subsequent_indent="    ", break_on_hyphens=False))
        print()
        print(folded(sys.modules["__main__"].__doc__ or "", width))
        # Behind a usage in one line, however long.
        print(heard.getvalue().partition("\n\n")[2], end="")


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
