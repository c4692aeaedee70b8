"""Which records each step of fine-tuning learns from, cut into micro-batches."""

import math
import random
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache

from genagent_policy.batching import micro_batch_fill, plan_micro_batches
from genagent_policy.ranks import ALONE, Ranks
from genagent_policy.sft_config import SFTConfig
from genagent_policy.sft_records import RecordSize
from genagent_policy.sharing import deal


class BatchPlan:
    """Shuffled epochs, cut into batches; every step follows from the seed and its number.

    Records pass by in epochs, each in an order of its own, and batches are cut from that stream
    without regard to where an epoch ends. Among ``grouped_batches`` neighbours records are sorted
    by length and their batches shuffled again, as ``group_by_length`` of transformers' Trainer does
    with 50 of them.
    """

    def __init__(
        self, sizes: Sequence[RecordSize], config: SFTConfig, *, seed: int, ranks: Ranks = ALONE
    ) -> None:
        """
        Args:
            ranks: who learns from each batch together.

        Raises:
            ValueError: a batch is larger than the data.
        """
        self._sizes = sizes
        self._config = config
        self._seed = seed
        self._ranks = ranks
        self._places = math.ceil(config.epochs * len(sizes))
        self.total_steps = config.total_steps(len(sizes))
        self._group: tuple[int, list[list[int]]] = (-1, [])

    def __str__(self) -> str:
        size = self._config.batch_size
        return f"{self.total_steps} steps of {size} (micro-batches {self.fill:.1%} full)"

    @cached_property
    def fill(self) -> float:
        """Share of the token budget of this rank's micro-batches that will be used."""
        parts = [part for part in self.parts_from(0) if part]
        tokens = [sum(self._sizes[place].tokens for place in part) for part in parts]
        return micro_batch_fill(tokens, max_tokens=self._config.micro_batch_tokens)

    def batch(self, step: int) -> list[int]:
        """Places of the records that the step numbered from 0 learns from."""
        group, number = divmod(step, self._config.grouped_batches)
        if self._group[0] != group:
            self._group = (group, self._grouped(group))
        return self._group[1][number]

    def parts(self, step: int) -> list[list[int]]:
        """This rank's share of the step's batch in micro-batches, as many as the others have; empty
        ones at the end where its records are fewer."""
        batch = self.batch(step)
        dealt = deal([self._sizes[place].tokens for place in batch], self._ranks.size)
        plans = [self._micro_batches([batch[index] for index in share]) for share in dealt]
        own, most = plans[self._ranks.rank], max(len(plan) for plan in plans)
        return [*own, *([[]] * (most - len(own)))]

    def _micro_batches(self, records: Sequence[int]) -> list[list[int]]:
        lengths = [self._sizes[place].tokens for place in records]
        cut = plan_micro_batches(lengths, max_tokens=self._config.micro_batch_tokens)
        return [[records[index] for index in part] for part in cut]

    def parts_from(self, step: int) -> Iterator[list[int]]:
        """Every micro-batch from the beginning of that step to the end."""
        for later in range(step, self.total_steps):
            yield from self.parts(later)

    def policy_tokens(self, step: int) -> int:
        """The agent's tokens in the step's batch."""
        return sum(self._sizes[place].policy_tokens for place in self.batch(step))

    def _grouped(self, group: int) -> list[list[int]]:
        size = self._config.batch_size
        span = size * self._config.grouped_batches
        places = range(group * span, min((group + 1) * span, self._places))
        records = sorted(
            (self._record(place) for place in places), key=lambda record: self._sizes[record].tokens
        )
        batches = [records[start : start + size] for start in range(0, len(records), size)]
        random.Random(f"batches-{self._seed}-{group}").shuffle(batches)
        return batches

    def _record(self, place: int) -> int:
        epoch, number = divmod(place, len(self._sizes))
        return _epoch_order(len(self._sizes), self._seed, epoch)[number]


@lru_cache(maxsize=2)
def _epoch_order(count: int, seed: int, epoch: int) -> list[int]:
    order = list(range(count))
    random.Random(f"epoch-{seed}-{epoch}").shuffle(order)
    return order
