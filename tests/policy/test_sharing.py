"""Who learns from what: laws of the dealing, and ranks as threads that trade what they hold."""

from threading import Barrier

from hypothesis import given
from hypothesis import strategies as st
from tests.policy.ranks_in_threads import Thread, as_ranks

from genagent_policy import ALONE, BatchPlan, RecordSize, SFTConfig
from genagent_policy.sharing import deal, in_step, share_out

COSTS = st.lists(st.integers(1, 50), max_size=30)


@given(costs=COSTS, ranks=st.integers(1, 6))
def test_everything_is_dealt_once_and_evenly(costs: list[int], ranks: int):
    dealt = deal(costs, ranks)
    assert sorted(place for places in dealt for place in places) == list(range(len(costs)))
    loads = [sum(costs[place] for place in places) for places in dealt]
    assert max(loads) - min(loads) <= max(costs, default=0)


def test_the_dearest_are_dealt_first():
    assert deal([5, 3, 3, 1], 2) == [[0, 3], [1, 2]]
    assert deal([2, 9, 4], 1) == [[0, 1, 2]]


@given(held=st.lists(COSTS, min_size=2, max_size=4))
def test_ranks_share_what_they_hold_together(held: list[list[int]]):
    def work(ranks: Thread) -> list[tuple[int, int, int]]:
        own = held[ranks.rank]
        items = [(ranks.rank, number, cost) for number, cost in enumerate(own)]
        return share_out(ranks, items, own)

    shared = as_ranks(len(held), work)
    every = [
        (rank, number, cost) for rank, own in enumerate(held) for number, cost in enumerate(own)
    ]
    assert sorted(item for items in shared for item in items) == every
    loads = [sum(cost for _, _, cost in items) for items in shared]
    assert max(loads) - min(loads) <= max((cost for _, _, cost in every), default=0)


def test_ranks_that_have_fewer_parts_go_on_with_empty_ones():
    plans = [[[0, 1], [2]], [[0]], []]
    found = as_ranks(3, lambda ranks: in_step(ranks, plans[ranks.rank]))
    assert found == [[[0, 1], [2]], [[0], []], [[], []]]


def test_one_rank_alone_keeps_the_order():
    assert share_out(ALONE, ["b", "a", "c"], [1, 9, 3]) == ["b", "a", "c"]
    assert list(ALONE.hand_out(3)) == [0, 1, 2]
    assert ALONE.total(3) == 3


@given(tokens=st.lists(st.integers(5, 40), min_size=8, max_size=20), size=st.integers(1, 3))
def test_ranks_divide_each_batch_of_records_and_take_equally_many_steps(tokens, size: int):
    sizes = [RecordSize(tokens=one, policy_tokens=3) for one in tokens]
    config = SFTConfig(batch_size=5, epochs=2, micro_batch_tokens=60)
    whole = BatchPlan(sizes, config, seed=1)
    plans = [
        BatchPlan(sizes, config, seed=1, ranks=Thread(rank, size, [], Barrier(1)))
        for rank in range(size)
    ]
    for step in range(whole.total_steps):
        parts = [plan.parts(step) for plan in plans]
        together = [place for own in parts for part in own for place in part]
        assert sorted(together) == sorted(whole.batch(step))
        assert len({len(own) for own in parts}) == 1
        assert plans[0].policy_tokens(step) == whole.policy_tokens(step)
