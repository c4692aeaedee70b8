"""Prompts that say nearly the same, found by MinHash and locality-sensitive hashing."""

from typing import TYPE_CHECKING, cast

from genagent_data.prompt_words import Words, jaccard, shingles

if TYPE_CHECKING:
    from datasketch import MinHash

PERMUTATIONS = 64
SEED = 1
MISSES_WEIGH = 0.95
"""Against false candidates, which are compared exactly and so cost time but no prompt: at a
similarity of 0.8 that makes 10 bands of 6, which find 95 % of the pairs that are as similar as
that, 99 % at 0.85 and 99.9 % at 0.9."""


class PromptIndex:
    """Prompts, and which of them is the closest to another.

    Two prompts are as similar as the Jaccard index of their shingles says (``prompt_words``). Which
    pairs are looked at follows from fixed seeds; those that are, are compared exactly, so that
    nothing is ever found that is less similar than asked for. A prompt of 20 words takes 3.8 kB
    (measured with 150,000 of them; 4.1 kB at 60 words) and 0.16 ms to look up and add.
    """

    def __init__(self, *, similarity: float) -> None:
        """
        Args:
            similarity: of which prompts are close, above 0; at 1 only those of the same shingles.
        """
        # Here, as they take a second that an experiment's --help does not have.
        from datasketch import MinHash, MinHashLSH

        self.similarity = similarity
        self._empty = MinHash(num_perm=PERMUTATIONS, seed=SEED, scheme="affine32")
        self._table = MinHashLSH(
            threshold=similarity,
            num_perm=PERMUTATIONS,
            weights=(1 - MISSES_WEIGH, MISSES_WEIGH),
        )
        self._texts: list[str] = []
        self._names: list[str] = []
        self._exact: dict[str, int] = {}

    def closest(self, words: Words) -> tuple[str, float] | None:
        """Name and similarity of the closest prompt, the first of several; None if none is close.

        The similarity of prompts of the same words is 1.
        """
        place = self._exact.get(" ".join(words))
        if place is not None:
            return self._names[place], 1.0
        own = shingles(words)
        best: tuple[float, int] | None = None
        for place in cast(list[int], self._table.query(self._sketch(own))):
            found = jaccard(own, shingles(tuple(self._texts[place].split(" "))))
            if found >= self.similarity and (best is None or (-found, place) < best):
                best = (-found, place)
        return None if best is None else (self._names[best[1]], -best[0])

    def add(self, name: str, words: Words) -> None:
        """From now on ``closest`` knows this prompt. Of the same words again, the first counts."""
        text = " ".join(words)
        if text in self._exact:
            return
        place = self._exact[text] = len(self._texts)
        self._texts.append(text)
        self._names.append(name)
        self._table.insert(place, self._sketch(shingles(words)), check_duplication=False)

    def _sketch(self, found: frozenset[str]) -> "MinHash":
        sketch = self._empty.copy()
        sketch.update_batch([shingle.encode() for shingle in found])
        return sketch
