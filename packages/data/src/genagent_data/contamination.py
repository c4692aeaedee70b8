"""Requests that are known from a benchmark, of which nothing may be learnt."""

from collections.abc import Iterable

from genagent_data.near_duplicates import PromptIndex
from genagent_data.prompt_words import Words, runs, words_of
from genagent_data.request import Request

RUN = 8
"""Words in a row that a request may not share with a benchmark's prompt."""
SHORTEST_RUN = 4
"""Words of a benchmark's prompt that a request may not hold as a whole. WISE's rewritten file has
"Christmas." as a prompt, and no picture of that kind could be asked for any more."""


class BenchmarkPrompts:
    """Prompts of benchmarks, and whether a request is one of them, nearly one, or quotes one.

    A request collides that has the same words, is as similar as ``PromptIndex`` is asked for, holds
    ``RUN`` words in a row of a prompt, or holds the whole of one that has ``SHORTEST_RUN`` to
    ``RUN`` words.
    """

    def __init__(self, requests: Iterable[Request], *, similarity: float) -> None:
        self._index = PromptIndex(similarity=similarity)
        self._runs: dict[Words, str] = {}
        for request in requests:
            words = words_of(request.prompt)
            self._index.add(request.id, words)
            if len(words) >= SHORTEST_RUN:
                for run in runs(words, min(RUN, len(words))):
                    self._runs.setdefault(run, request.id)
        self._lengths = sorted({len(run) for run in self._runs}, reverse=True)

    def collision(self, words: Words) -> tuple[str, str] | None:
        """Id of the benchmark's request and, in words, how they collide; None if they do not."""
        close = self._index.closest(words)
        if close is not None:
            name, similarity = close
            how = "the same words" if similarity == 1 else f"similarity {similarity:.2f}"
            return name, how
        for length in self._lengths:
            for run in runs(words, length):
                if run in self._runs:
                    return self._runs[run], f"both hold {' '.join(run)!r}"
        return None
