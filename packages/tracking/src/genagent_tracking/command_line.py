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
from itertools import groupby
from typing import TypeVar, cast

import tyro
from rich.console import Console
from rich.text import Text

Part = TypeVar("Part")
_HELP = {"-h", "--help"}
_WIDEST = 100
"""Columns of prose, however wide the terminal is: longer lines are hard to read."""
_ITEM = re.compile(r"\d+\. ")
_END = len(" │")
_TOLD = re.compile(r"[│ ] {7,}(?=[^\s│])")
"""Begins a line of help in its box, which has no sides where the terminal has no such letters."""


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
        options = heard.text().partition("\n\n")[2]
        console = Console(soft_wrap=True, highlight=False)
        for line in refolded(options):
            console.print(line)


def refolded(text: str) -> Iterator[Text]:
    """The boxes of options with each help folded as one paragraph, its colours kept: tyro also
    breaks it where its source does."""
    for is_told, group in groupby(map(Text.from_ansi, text.splitlines()), _is_told):
        lines = list(group)
        if not is_told:
            yield from lines
            continue
        margin, end = lines[0][: _margin(lines[0])], _END * _has_sides(lines[0])
        border = lines[0][len(lines[0]) - end :]
        room = len(lines[0]) - len(margin) - end
        for line in Text(" ").join(map(_words, lines)).wrap(Console(), room):
            line.pad_right(room - len(line))
            yield Text.assemble(margin, line, border)


def _margin(line: Text) -> int:
    """Columns before an option's help; 0 where the line holds none."""
    found = _TOLD.match(line.plain)
    return 0 if found is None else found.end()


def _is_told(line: Text) -> bool:
    return _margin(line) > 0


def _words(line: Text) -> Text:
    words = line[_margin(line) : len(line) - _END * _has_sides(line)]
    words.rstrip()
    return words


def _has_sides(line: Text) -> bool:
    return line.plain.endswith("│")


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
