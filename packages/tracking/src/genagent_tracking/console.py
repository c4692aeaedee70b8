"""What a run says in the terminal: plain lines, errors, tables."""

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

TERMINAL = Console(highlight=False, soft_wrap=True)
"""Standard output, whether it is a terminal or not."""
FOLDED = 40
"""Characters of a table's words that figures may fold them to, before they give way themselves."""
_OF_NO_FAULT = (
    # Of a prompt that the model then is given cut off, as the agent is told.
    ("transformers.tokenization_utils_base", "Token indices sequence length is longer"),
    # FLUX's CLIP reads 77 tokens of each prompt and its T5 all of them.
    ("diffusers.pipelines.flux.pipeline_flux", "The following part of your input was truncated"),
    # Names an empty list of modules whenever a model is moved.
    ("diffusers.models.modeling_utils", "There are modules in"),
)
"""Loggers, and how what is not wanted of them begins."""
_ERR = Console(stderr=True, highlight=False, soft_wrap=True)


class Latest:
    """When a line was last said, on the clock of ``time.monotonic``."""

    said = 0.0


LATEST = Latest()


def quiet_libraries() -> None:
    """Keep from the terminal what libraries say of no fault, and what would break a bar."""
    # Its check for an accelerator warns on stdout that there is none, whenever diffusers is loaded.
    logging.getLogger("DeepSpeed").addFilter(lambda record: record.levelno >= logging.ERROR)
    for logger, begins in _OF_NO_FAULT:
        logging.getLogger(logger).addFilter(
            lambda record, begins=begins: not str(record.msg).startswith(begins)
        )


def is_following() -> bool:
    """Whether a launcher has started this process as another one than the first of several."""
    return os.environ.get("RANK", "0") != "0"


def say_nothing() -> None:
    """Only errors are shown from here on."""
    TERMINAL.quiet = True


def print_line(text: str) -> None:
    """One plain line; nothing in it is taken for markup."""
    LATEST.said = time.monotonic()
    TERMINAL.print(text, markup=False)


def print_error(text: str) -> None:
    """One line on standard error; of several processes each says which one it is."""
    who = f"rank {os.environ['RANK']}: " if int(os.environ.get("WORLD_SIZE", "1")) > 1 else ""
    _ERR.print(f"error: {who}{text}", markup=False, style="red")


def print_table(
    title: str, rows: Sequence[Mapping[str, str]], *, has_total: bool = True, words: int = 1
) -> None:
    """Rows of equal columns; the first row is set apart where it is the total.

    Nothing is cut: where the terminal is too narrow, words are folded, and figures that find no
    room beside them stand in a table below, behind the same words.

    Args:
        words: columns that hold words, from the left; the others hold figures.
    """
    TERMINAL.print(title, markup=False, soft_wrap=False, style="italic")
    names = list(rows[0]) if rows else []
    # A column has a blank on its right, and another one to the next.
    widths = {n: 2 + max(cell_len(text) for text in (n, *(row[n] for row in rows))) for n in names}
    room = TERMINAL.width - 1 - min(sum(widths[name] for name in names[:words]), FOLDED)
    for figures in _that_fit(names[words:], widths, room):
        columns = [*names[:words], *figures]
        too_wide = sum(widths[name] for name in figures) > room  # one that has no room even alone
        # As narrow as that: the table of results fits into 80 columns with 100 [93-100] in each.
        table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0))
        for name in columns:
            is_word = name in names[:words]
            justify = "left" if is_word else "right"
            table.add_column(
                Text(name), justify=justify, no_wrap=not is_word and not too_wide, overflow="fold"
            )
        for index, row in enumerate(rows):
            cells = [Text(row[name]) for name in columns]
            table.add_row(*cells, end_section=has_total and index == 0)
        TERMINAL.print(table, soft_wrap=False)


def _that_fit(figures: Sequence[str], widths: Mapping[str, int], room: int) -> Iterator[list[str]]:
    """The columns of figures, as many at a time as have room."""
    chosen: list[str] = []
    for name in figures:
        if chosen and sum(widths[one] for one in [*chosen, name]) > room:
            yield chosen
            chosen = []
        chosen.append(name)
    yield chosen
