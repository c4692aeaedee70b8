"""Which conversations the next step advances, and where their keys and values lie.

A step is one pass of the model over conversations that wait for a turn: prompts of several
conversations first (computed once each), then what others have not computed yet, a picture's
tokens mostly, and else one token each. Oldest first, always: the oldest conversation that waits for
a turn can take the pages of all others, so something always moves.
"""

from collections import Counter
from collections.abc import Iterable
from collections.abc import Sequence as Listed
from dataclasses import dataclass, field

from genagent_rollout.pages import PagePool
from genagent_rollout.sequence import Prefix, Sequence

AHEAD = 64
"""A conversation begins where so many more tokens of each one under way have room too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PageCopy:
    """The first tokens of one page, to be copied to another before a step."""

    source: int
    target: int
    tokens: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One pass: prompts, or chunks of several tokens, or one token each."""

    copies: list[PageCopy] = field(default_factory=list)
    prompts: list[Prefix] = field(default_factory=list)
    chunks: list[Sequence] = field(default_factory=list)
    decodes: list[Sequence] = field(default_factory=list)


class Scheduler:
    """Conversations that are open, and their pages."""

    def __init__(
        self, pool: PagePool, *, page_tokens: int, max_batch: int, max_chunk_tokens: int
    ) -> None:
        self._pool = pool
        self._page_tokens = page_tokens
        self._max_batch = max_batch
        self._max_chunk_tokens = max_chunk_tokens
        self._open: dict[int, Sequence] = {}
        self._waiting: dict[int, Sequence] = {}
        self._prefixes: dict[tuple[int, ...], Prefix] = {}
        self._unstarted: Counter[tuple[int, ...]] = Counter()
        self._under_way = 0
        self.put_aside = 0
        """How often a conversation had to give up its pages."""

    def open(self, sequence: Sequence) -> None:
        self._open[sequence.number] = sequence
        self._unstarted[sequence.prompt] += 1

    def close(self, sequence: Sequence) -> None:
        if self._open.pop(sequence.number, None) is None:
            return
        self._waiting.pop(sequence.number, None)
        self._begin(sequence)
        self._pool.release(sequence.forget())

    def wants_turn(self, sequence: Sequence) -> None:
        self._waiting[sequence.number] = sequence

    def has_turn(self, sequence: Sequence) -> None:
        self._waiting.pop(sequence.number, None)

    @property
    def waiting(self) -> Iterable[Sequence]:
        """Conversations that wait for a turn."""
        return self._waiting.values()

    def forget_all(self) -> None:
        """Nothing that was computed counts any more; every conversation computes it again."""
        for prefix in self._prefixes.values():
            self._pool.release(prefix.pages)
        self._prefixes.clear()
        for sequence in self._open.values():
            self._pool.release(sequence.forget())
            sequence.features.clear()

    def next(self) -> Step:
        """The next pass; there is a conversation that waits for a turn."""
        step = Step()
        self._under_way = sum(bool(sequence.pages) for sequence in self._open.values())
        for number in sorted(self._waiting)[: self._max_batch]:
            self._place(self._waiting[number], step)
        if step.prompts:
            return Step(copies=step.copies, prompts=step.prompts)
        if step.chunks:
            return Step(copies=step.copies, chunks=step.chunks)
        return step

    def _place(self, sequence: Sequence, step: Step) -> None:
        """Put a conversation into the step where it fits and has room."""
        if not sequence.pages and not self._start(sequence, step):
            return
        chunk = sequence.uncached > 1
        if chunk and not _fits(sequence, step.chunks, self._max_chunk_tokens):
            return
        if self._make_room(sequence, self._pages(len(sequence.record.ids)) - len(sequence.pages)):
            self._begin(sequence)
            (step.chunks if chunk else step.decodes).append(sequence)

    def _start(self, sequence: Sequence, step: Step) -> bool:
        """Whether a conversation without pages may begin now; its prompt is attached where it has
        been computed, and planned where several wait for it."""
        first = not (step.prompts or step.chunks or step.decodes)
        if not first and not self._has_headroom(len(sequence.record.ids)):
            return False
        prefix = self._prefixes.get(sequence.prompt)
        if prefix is None and not sequence.started and self._unstarted[sequence.prompt] > 1:
            self._plan(sequence, step, may_evict=first)
            return False
        if prefix is not None:
            if prefix.state is None:
                return False
            if not self._attach(sequence, prefix, step, may_evict=first):
                if not first:
                    return False
                # Not even the prompt and one conversation fit side by side.
                self._drop(prefix)
        self._under_way += 1
        return True

    def _plan(self, sequence: Sequence, step: Step, *, may_evict: bool) -> None:
        """Compute a prompt in this step, if there is room."""
        prompt = sequence.prompt
        planned = sum(len(prefix.ids) for prefix in step.prompts)
        if planned and planned + len(prompt) > self._max_chunk_tokens:
            return
        needed = self._pages(len(prompt))
        if self._pool.free >= needed or (may_evict and self._evict(sequence, needed)):
            prefix = Prefix(ids=prompt, number=sequence.number, pages=self._pool.take(needed))
            self._prefixes[prompt] = prefix
            step.prompts.append(prefix)

    def _attach(self, sequence: Sequence, prefix: Prefix, step: Step, *, may_evict: bool) -> bool:
        """Begin a conversation behind a computed prompt; whole pages are shared, the rest is
        copied, and the last one that waited takes it as it is."""
        whole, tail = divmod(len(prefix.ids), self._page_tokens)
        if not sequence.started and self._unstarted[prefix.ids] == 1:
            sequence.pages = prefix.pages
            del self._prefixes[prefix.ids]
        else:
            if tail and self._pool.free < 1 and not (may_evict and self._evict(sequence, 1)):
                return False
            sequence.pages = self._pool.share(prefix.pages[:whole])
            if tail:
                (page,) = self._pool.take(1)
                step.copies.append(PageCopy(source=prefix.pages[whole], target=page, tokens=tail))
                sequence.pages.append(page)
        sequence.cached, sequence.position = len(prefix.ids), prefix.position
        # One that was put aside has said something since.
        sequence.state = prefix.state if sequence.uncached == 0 else None
        return True

    def _begin(self, sequence: Sequence) -> None:
        """It no longer waits for its prompt to be computed."""
        if sequence.started:
            return
        sequence.started = True
        self._unstarted[sequence.prompt] -= 1
        if self._unstarted[sequence.prompt] == 0:
            del self._unstarted[sequence.prompt]
            if prefix := self._prefixes.get(sequence.prompt):
                self._drop(prefix)

    def _make_room(self, sequence: Sequence, pages: int) -> bool:
        """So many pages more; younger conversations, or idle ones, give up theirs."""
        if pages <= 0:
            return True
        if pages > self._pool.free and not self._evict(sequence, pages):
            return False
        sequence.pages.extend(self._pool.take(pages))
        return True

    def _evict(self, sequence: Sequence, needed: int) -> bool:
        """Free pages until so many are: computed prompts first, then conversations."""
        while self._pool.free < needed:
            spare = [
                prefix
                for prefix in self._prefixes.values()
                if prefix.state is not None and (sequence.pages or prefix.ids != sequence.prompt)
            ]
            if spare:
                self._drop(max(spare, key=lambda prefix: prefix.number))
            elif victim := self._victim(sequence):
                self._pool.release(victim.forget())
                self.put_aside += 1
            else:
                return False
        return True

    def _victim(self, sequence: Sequence) -> Sequence | None:
        """The youngest of the younger ones, else the youngest that waits for no turn."""
        holding = [s for s in self._open.values() if s.pages and s is not sequence]
        younger = [s for s in holding if s.number > sequence.number]
        idle = [s for s in holding if s.turn is None]
        return max(younger or idle, key=lambda s: s.number, default=None)

    def _drop(self, prefix: Prefix) -> None:
        del self._prefixes[prefix.ids]
        self._pool.release(prefix.pages)

    def _has_headroom(self, tokens: int) -> bool:
        return self._pool.free >= self._pages(tokens) + self._pages(self._under_way * AHEAD)

    def _pages(self, tokens: int) -> int:
        return -(-tokens // self._page_tokens)


def _fits(sequence: Sequence, chunks: Listed[Sequence], max_tokens: int) -> bool:
    """Whether the rectangle of the chunks with this one stays within ``max_tokens``."""
    longest = max([sequence.uncached, *(chunk.uncached for chunk in chunks)])
    return not chunks or longest * (len(chunks) + 1) <= max_tokens
