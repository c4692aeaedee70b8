"""Pages are free, or held by whoever took them and by those it was shared with."""

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from genagent_rollout.pages import PagePool

COUNT = 12


class Pages(RuleBasedStateMachine):
    """A pool beside a list of who holds what."""

    held = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        self.pool = PagePool(COUNT)
        self.holders: Counter[int] = Counter()

    @rule(target=held, count=st.integers(0, COUNT + 1))
    def take(self, count: int) -> list[int]:
        free = COUNT - len(+self.holders)
        if count > free:
            with pytest.raises(ValueError, match=f"{count} pages are wanted and {free} are free"):
                self.pool.take(count)
            return []
        pages = self.pool.take(count)
        # The lowest ones that nobody holds.
        assert pages == [page for page in range(COUNT) if not self.holders[page]][:count]
        self.holders.update(pages)
        return pages

    @rule(target=held, pages=held)
    def share(self, pages: list[int]) -> list[int]:
        if not all(self.holders[page] for page in pages):
            return []
        self.holders.update(pages)
        return self.pool.share(pages)

    @rule(pages=consumes(held))
    def release(self, pages: list[int]) -> None:
        self.pool.release(pages)
        self.holders.subtract(pages)

    @invariant()
    def free_is_what_nobody_holds(self) -> None:
        assert self.pool.free == COUNT - len(+self.holders)


Pages.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestPages = Pages.TestCase
