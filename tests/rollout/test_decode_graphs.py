"""Decoding passes of fixed shapes: filled up, captured once, replayed."""

import gc
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from genagent_policy import Policy
from genagent_rollout.chunks import Chunk
from genagent_rollout.decode_graphs import DecodeRows, capture_here, fill, filled_rows
from genagent_rollout.model_runner import ModelRunner

PAGES, PAGE_TOKENS = 40, 16


class Rerun:
    """What a graph is elsewhere: the same function again, into the same tensor."""

    def __init__(self, compute: Callable[[], Tensor]) -> None:
        self._compute = compute
        self.states = compute()

    def replay(self) -> None:
        self.states.copy_(self._compute())


class Captures:
    """Captures passes to be run again, and counts them."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, compute: Callable[[], Tensor]) -> tuple[Rerun, Tensor]:
        self.made += 1
        rerun = Rerun(compute)
        return rerun, rerun.states


def decoded(runner: ModelRunner, policy: Policy) -> list[Tensor]:
    """Five conversations of 3 to 35 tokens, decoded for four steps, one less in each."""
    generator = torch.Generator().manual_seed(0)
    prompts = [torch.randint(3, 200, (n,), generator=generator).tolist() for n in (3, 35, 9, 16, 4)]
    pages = [[3 * row, 3 * row + 1, 3 * row + 2] for row in range(len(prompts))]
    chunks = [
        Chunk(
            ids=ids,
            positions=torch.arange(len(ids)).expand(3, -1),
            start=0,
            pages=held,
        )
        for ids, held in zip(prompts, pages, strict=True)
    ]
    states = [runner.prefill(chunks)]
    for step in range(4):
        live = range(len(prompts) - step)
        starts = [len(prompts[row]) + step for row in live]
        states.append(
            runner.decode(
                [17 * step + row for row in live], starts, starts, [pages[row] for row in live]
            )
        )
    return states


def runner_of(policy: Policy, **options) -> ModelRunner:
    return ModelRunner(policy, pages=PAGES, page_tokens=PAGE_TOKENS, **options)


@torch.inference_mode()
def test_filled_passes_compute_what_bare_ones_do(tiny_policy: Policy):
    captures = Captures()
    bare = decoded(runner_of(tiny_policy), tiny_policy)
    filled = decoded(runner_of(tiny_policy, capture=captures), tiny_policy)
    for one, other in zip(bare, filled, strict=True):
        torch.testing.assert_close(other, one, rtol=0, atol=1e-5)
    # Five rows and four columns, then four, three (filled to four) and two.
    assert captures.made == 3


@torch.inference_mode()
def test_an_update_of_the_weights_needs_no_new_capture(tiny_policy_path: Path):
    policy, captures = Policy.load(tiny_policy_path), Captures()
    runner = runner_of(policy, capture=captures)
    decoded(runner, policy)
    for parameter in policy.model.parameters():
        parameter.mul_(1.1)
    found = decoded(runner, policy)
    assert captures.made == 3
    expected = decoded(runner_of(policy), policy)
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(other, one, rtol=0, atol=1e-5)


@torch.inference_mode()
def test_rows_that_fill_up_write_nothing(tiny_policy: Policy):
    runner = runner_of(tiny_policy, capture=Captures())
    runner.decode([7, 8, 9], [0] * 3, [0] * 3, [[5], [6], [7]])  # filled up to four
    for stored in (*runner.stored.keys, *runner.stored.values):
        written = stored.flatten(2).abs().sum(-1).nonzero().tolist()
        assert written == [[5, 0], [6, 0], [7, 0]]


@torch.inference_mode()
def test_states_outlive_the_next_pass(tiny_policy: Policy):
    runner = runner_of(tiny_policy, capture=Captures())
    kept = runner.decode([7], [0], [0], [[5]])
    before = kept.clone()
    runner.decode([90], [0], [0], [[6]])
    assert torch.equal(kept, before)


def test_rows_are_filled_to_few_numbers():
    sizes = {count: filled_rows(count) for count in (1, 2, 3, 4, 5, 8, 9, 96, 97)}
    assert sizes == {1: 1, 2: 2, 3: 4, 4: 4, 5: 8, 8: 8, 9: 16, 96: 96, 97: 104}
    one = torch.tensor([5])
    rows = DecodeRows(ids=one, positions=one, lengths=one, slots=one, table=torch.tensor([[7, 8]]))
    filled = fill(rows, 3, 4)
    assert filled.ids.tolist() == [5, 0, 0]
    assert filled.lengths.tolist() == [5, 0, 0]
    assert filled.slots.tolist() == [5, -1, -1]
    assert filled.table.tolist() == [[7, 8, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@torch.inference_mode()
def test_graphs_compute_what_bare_passes_do(tiny_policy_path: Path):
    policy = Policy.load(tiny_policy_path, device="cuda")

    def eagerly(compute: Callable[[], Tensor]) -> tuple[Rerun, Tensor]:
        rerun = Rerun(compute)
        return rerun, rerun.states

    bare = decoded(runner_of(policy, capture=eagerly), policy)
    graphs = decoded(runner_of(policy, capture=capture_here()), policy)
    for one, other in zip(bare, graphs, strict=True):
        torch.testing.assert_close(other, one, rtol=0, atol=1e-5)


@torch.inference_mode()
def test_a_runner_that_is_let_go_takes_its_pages_with_it(tiny_policy: Policy):
    """Two policies that are evaluated one after the other do not both fit on a GPU."""

    class Once:
        def replay(self) -> None:
            pass

    def shapes(compute: Callable[[], Tensor]) -> tuple[Once, Tensor]:
        """Keeps the tensors of a pass, and not the pass, as CUDA graphs do."""
        return Once(), compute()

    runner = runner_of(tiny_policy, capture=shapes)
    decoded(runner, tiny_policy)
    pages = weakref.ref(runner.stored)
    gc.disable()
    try:
        del runner
        assert pages() is None
    finally:
        gc.enable()
