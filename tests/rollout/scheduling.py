"""A scheduler with a model that takes no time: what a step says is done, and every law is checked
after it."""

from collections import Counter
from types import SimpleNamespace
from typing import cast

import torch

from genagent_policy import ChatFormat
from genagent_rollout import SamplingConfig
from genagent_rollout.pages import PagePool
from genagent_rollout.record import TokenRecord
from genagent_rollout.scheduler import Scheduler, Step
from genagent_rollout.sequence import Sequence

CHAT = cast(
    ChatFormat, SimpleNamespace(prompt_ids=lambda prompt: [ord(letter) for letter in prompt])
)
SAMPLING = SamplingConfig()
NOBODY: tuple[int, int] = (0, -1)
"""What no token says of itself: (its place, its id)."""


class Bench:
    """Conversations with a scheduler; a page holds (place, token) of what was written to it."""

    def __init__(
        self, pages: int, page_tokens: int = 4, *, max_batch: int = 8, max_chunk_tokens: int = 32
    ) -> None:
        self.pool = PagePool(pages)
        self.size = page_tokens
        self.max_batch = max_batch
        self.max_chunk_tokens = max_chunk_tokens
        self.scheduler = Scheduler(
            self.pool,
            page_tokens=page_tokens,
            max_batch=max_batch,
            max_chunk_tokens=max_chunk_tokens,
        )
        self.stored = [[NOBODY] * page_tokens for _ in range(pages)]
        self.open_ones: dict[int, Sequence] = {}
        self.left: dict[int, int] = {}
        """Tokens of the turn that are yet to be sampled."""
        self.opened = 0
        self.computed = 0
        self.all_prompts: list[tuple[int, ...]] = []

    def open(self, prompt: str) -> int:
        record = TokenRecord(prompt, CHAT, SAMPLING)
        sequence = Sequence(
            number=self.opened,
            seed=0,
            prompt=tuple(record.ids),
            record=record,
        )
        self.opened += 1
        self.scheduler.open(sequence)
        self.open_ones[sequence.number] = sequence
        return sequence.number

    def wants_turn(self, number: int, tokens: int, shown: int = 0) -> None:
        """Behind so many tokens that the environment says."""
        sequence = self.open_ones[number]
        for token in range(shown):
            sequence.record.ids.append(1000 + token)
        self.left[number] = tokens
        sequence.turn = cast("object", True)  # pyright: ignore[reportAttributeAccessIssue]
        self.scheduler.wants_turn(sequence)

    def close(self, number: int) -> None:
        self.left.pop(number, None)
        self.scheduler.close(self.open_ones.pop(number))

    def step(self) -> Step:
        """One pass, as the engine does it."""
        oldest = min(sequence.number for sequence in self.scheduler.waiting)
        step = self.scheduler.next()
        kinds = [bool(step.prompts), bool(step.chunks), bool(step.decodes)]
        assert sum(kinds) == 1, "a step is of one kind, and never empty"
        widths = [sequence.uncached for sequence in step.chunks]
        assert len(widths) <= 1 or max(widths) * len(widths) <= self.max_chunk_tokens
        planned = [len(prefix.ids) for prefix in step.prompts]
        assert len(planned) <= 1 or sum(planned) <= self.max_chunk_tokens
        for copy in step.copies:
            page = self.stored[copy.source][: copy.tokens]
            self.stored[copy.target][: copy.tokens] = page
        for prefix in step.prompts:
            self._write(prefix.pages, prefix.ids, 0)
            prefix.state = torch.zeros(1)
        for sequence in (*step.chunks, *step.decodes):
            self._compute(sequence)
        assert len(step.chunks) + len(step.decodes) <= self.max_batch
        advanced = [sequence.number for sequence in (*step.chunks, *step.decodes)]
        assert advanced == sorted(set(advanced))
        prompts = [prefix.ids for prefix in step.prompts]
        assert len(prompts) == len(set(prompts))
        self.check()
        if oldest in self.open_ones:
            self.waited = 0 if oldest in advanced else getattr(self, "waited", 0) + 1
            # A prompt may be computed before it; then it is its turn, or that of others' chunks.
            assert self.waited <= 2 * self.opened + 2, f"conversation {oldest} is passed over"
        return step

    def _compute(self, sequence: Sequence) -> None:
        ids = sequence.record.ids
        if sequence.state is None:
            self._write(sequence.pages, ids[sequence.cached :], sequence.cached)
            sequence.cached = len(ids)
        # What it sees is what it has said and was told, whoever wrote it.
        seen = [
            self.stored[sequence.pages[place // self.size]][place % self.size]
            for place in range(len(ids))
        ]
        assert seen == list(enumerate(ids))
        sequence.state = None
        ids.append(2000 + len(ids))
        self.left[sequence.number] -= 1
        if self.left[sequence.number] == 0:
            del self.left[sequence.number]
            self.scheduler.has_turn(sequence)
            sequence.turn = None

    def _write(self, pages: list[int], ids, start: int) -> None:
        self.computed += len(ids)
        for place, token in enumerate(ids, start):
            self.stored[pages[place // self.size]][place % self.size] = (place, token)

    def check(self) -> None:
        """Every page is free or has as many holders as the pool says; none has two writers."""
        held = Counter(page for s in self.open_ones.values() for page in s.pages)
        writers = Counter(
            page for s in self.open_ones.values() for page in s.pages[len(s.prompt) // self.size :]
        )
        assert max(writers.values(), default=0) <= 1
        for prefix in self.scheduler._prefixes.values():
            held.update(prefix.pages)
        assert self.pool.free == self.pool.count - len(held)
        assert [self.pool._holders[page] for page in held] == list(held.values())
        for sequence in self.open_ones.values():
            assert sequence.cached <= len(sequence.pages) * self.size

    def run(self, steps: int = 10_000) -> None:
        """Until nobody waits."""
        for _ in range(steps):
            if not self.left:
                return
            self.step()
        raise AssertionError(f"{sorted(self.left)} still wait after {steps} steps")

    def ended(self) -> None:
        """Close whatever is open; every page must be free then."""
        for number in list(self.open_ones):
            self.close(number)
        assert self.pool.free == self.pool.count
