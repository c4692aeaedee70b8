"""Decoding passes of fixed shapes, captured once each and replayed: CUDA graphs.

A pass over one token a conversation launches over a thousand small kernels in a model of 7B, which
takes a CPU longer than the GPU needs for them. A graph launches them at once, and wants the same
shapes and addresses each time: rows are filled up to one of a few numbers with rows that hold no
token, and the page table to a power of two of columns. It computes with the policy's own weights,
so that an update in place needs no new capture.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Protocol

import torch
from jaxtyping import Float, Int64
from torch import Tensor

ROWS_APART = 8
"""Rows are filled up to 1, 2, 4 or a multiple of this."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodeRows:
    """One token of each conversation, and where it belongs."""

    ids: Int64[Tensor, " rows"]
    positions: Int64[Tensor, " rows"]
    lengths: Int64[Tensor, " rows"]
    """Tokens of each conversation, this one among them; 0: a row that fills up."""
    slots: Int64[Tensor, " rows"]
    """Where its keys and values go; -1: nowhere."""
    table: Int64[Tensor, "rows columns"]
    """Pages of each conversation."""


Compute = Callable[[DecodeRows], Float[Tensor, "rows hidden"]]


class Replay(Protocol):
    """A captured pass."""

    def replay(self) -> None:
        """Compute again from what its inputs hold now, into the tensor that it returned."""
        ...


Capture = Callable[[Callable[[], Tensor]], tuple[Replay, Tensor]]
"""From a pass to its capture and the tensor that it writes."""


class DecodeGraphs:
    """Runs one pass by graphs."""

    def __init__(self, capture: Capture) -> None:
        """
        Args:
            capture: ``capture_here()`` on a GPU.
        """
        self._capture = capture
        self._graphs: dict[tuple[int, int], tuple[DecodeRows, Replay, Tensor]] = {}

    def __call__(self, compute: Compute, rows: DecodeRows) -> Float[Tensor, "rows hidden"]:
        """The state behind each row's token.

        Args:
            compute: the pass, the same each time. It is not kept: whoever has both would hold
                itself in a circle, and its pages, a fifth of a GPU, would outlive it.
        """
        count, columns = rows.table.shape
        shape = filled_rows(count), 1 << (columns - 1).bit_length()
        filled = fill(rows, *shape)
        if shape not in self._graphs:
            replay, states = self._capture(lambda: compute(filled))
            self._graphs[shape] = filled, replay, states
        inputs, replay, states = self._graphs[shape]
        for field in fields(DecodeRows):
            getattr(inputs, field.name).copy_(getattr(filled, field.name))
        replay.replay()
        # The next pass writes over them, and a conversation may keep its row until its next turn.
        return states[:count].clone()


def filled_rows(count: int) -> int:
    """Rows of the graph that so many conversations take."""
    if count <= 4:
        return 1 << (count - 1).bit_length()
    return -(-count // ROWS_APART) * ROWS_APART


def fill(rows: DecodeRows, count: int, columns: int) -> DecodeRows:
    """The rows with others below that hold no token, and a table of so many columns."""
    more = count - len(rows.ids)

    def longer(values: Tensor, empty: int) -> Tensor:
        return torch.cat([values, values.new_full((more,), empty)])

    table = rows.table.new_zeros(count, columns)
    table[: len(rows.table), : rows.table.shape[1]] = rows.table
    return DecodeRows(
        ids=longer(rows.ids, 0),
        positions=longer(rows.positions, 0),
        lengths=longer(rows.lengths, 0),
        slots=longer(rows.slots, -1),
        table=table,
    )


def capture_here() -> Capture:
    """Capturing on the current GPU; all captures share their working memory, for they run one after
    another."""
    pool = torch.cuda.graph_pool_handle()

    def capture(compute: Callable[[], Tensor]) -> tuple[Replay, Tensor]:
        # Once before, on another stream as capturing wants it: Triton compiles its kernels and
        # cuBLAS takes its workspace.
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            compute()
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        # "global" breaks when the thread that learns meanwhile asks the driver for memory.
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            states = compute()
        return graph, states

    return capture
