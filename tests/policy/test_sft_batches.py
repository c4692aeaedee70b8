from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genagent_policy import BatchPlan, RecordSize, SFTConfig

CONFIG = SFTConfig(batch_size=4, epochs=2.0, micro_batch_tokens=100)


def sizes(*tokens: int) -> list[RecordSize]:
    return [RecordSize(tokens=count, policy_tokens=count // 2) for count in tokens]


def batches(plan: BatchPlan) -> list[list[int]]:
    return [plan.batch(step) for step in range(plan.total_steps)]


@given(
    st.lists(st.integers(1, 90), min_size=4, max_size=30),
    st.integers(1, 5),
    st.integers(1, 3),
    st.integers(0, 9),
)
def test_every_record_comes_once_an_epoch(tokens, grouped, epochs, seed):
    config = replace(CONFIG, epochs=float(epochs), grouped_batches=grouped)
    plan = BatchPlan(sizes(*tokens), config, seed=seed)
    seen = [place for batch in batches(plan) for place in batch]
    assert sorted(seen) == sorted(list(range(len(tokens))) * epochs)
    assert plan.total_steps == -(-epochs * len(tokens) // 4)


@given(st.integers(1, 4), st.integers(0, 4))
def test_a_step_follows_from_its_number_whatever_was_asked_before(grouped, first):
    config = replace(CONFIG, grouped_batches=grouped)
    given_sizes = sizes(*range(10, 20))
    steps = batches(BatchPlan(given_sizes, config, seed=3))
    fresh = BatchPlan(given_sizes, config, seed=3)
    assert [fresh.batch(step) for step in range(first, 5)] == steps[first:]
    assert fresh.batch(0) == steps[0]
    parts = [fresh.parts(step) for step in range(first, 5)]
    assert list(fresh.parts_from(first)) == [part for step in parts for part in step]


def test_epochs_and_seeds_have_orders_of_their_own():
    plan = BatchPlan(sizes(*[10] * 8), CONFIG, seed=0)
    assert plan.batch(0) + plan.batch(1) != plan.batch(2) + plan.batch(3)
    assert batches(BatchPlan(sizes(*[10] * 8), CONFIG, seed=1)) != batches(plan)


def test_the_last_batch_is_what_is_left():
    plan = BatchPlan(sizes(*[10] * 5), replace(CONFIG, epochs=1.0), seed=0)
    assert [len(batch) for batch in batches(plan)] == [4, 1]


def test_a_batch_is_cut_longest_first_within_the_budget():
    plan = BatchPlan(sizes(60, 20, 50, 30), replace(CONFIG, epochs=1.0), seed=0)
    assert plan.parts(0) == [[0, 3], [2, 1]]
    # 60 + 30, 50 + 20: 160 of 200 tokens.
    assert plan.fill == 0.8
    assert plan.policy_tokens(0) == 80
    assert str(plan) == "1 steps of 4 (micro-batches 80.0% full)"


def test_grouped_batches_are_of_like_length():
    lengths = sizes(10, 90, 11, 91, 12, 92, 13, 93)
    config = replace(CONFIG, epochs=1.0, micro_batch_tokens=400, grouped_batches=2)
    plan = BatchPlan(lengths, config, seed=0)
    assert sorted(sorted(batch) for batch in batches(plan)) == [[0, 2, 4, 6], [1, 3, 5, 7]]
    assert plan.fill == pytest.approx(412 / 800)


def test_groups_of_batches_come_in_no_order_of_length():
    config = replace(CONFIG, batch_size=1, epochs=1.0, grouped_batches=8)
    firsts = {batches(BatchPlan(sizes(*range(1, 9)), config, seed=seed))[0][0] for seed in range(9)}
    assert len(firsts) > 2


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(ValueError, match="batch_size is 4, and there are 3 records"):
        BatchPlan(sizes(1, 1, 1), CONFIG, seed=0)
