"""Prompts as words, and what two of them share."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator

Words = tuple[str, ...]

SHINGLE = 3
"""Words of a shingle. Another word in place of one changes three of n + 2 shingles, so that the
similarity of the two prompts is (n - 1) / (n + 5): under 0.8 up to 24 words."""

# Chinese and Japanese put no blanks between words; each character counts as one there.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
# The dash of "-10 degrees" is a sign, that of "wine-glass" is none.
_WORD = re.compile(rf"[{_UNSPACED}]|(?:(?<!\w)-(?=\d))?[^\W_{_UNSPACED}]+|[^\w\s]")


def words_of(prompt: str) -> Words:
    """A prompt's words, by which prompts that are written differently are the same.

    Case, Unicode's compatible forms (NFKC), blanks and punctuation do not count; signs and emoji
    do. In a prompt of nothing but punctuation, that is what counts.

    Example: ``words_of("A red, RED circle!") == ("a", "red", "red", "circle")``
    """
    text = unicodedata.normalize("NFKC", prompt).casefold()
    found = _WORD.findall(text)
    words = tuple(word for word in found if unicodedata.category(word[-1])[0] in "LMNS")
    return words or tuple(text.split())


def shingles(words: Words) -> frozenset[str]:
    """Runs of ``SHINGLE`` words, ends marked; a run that comes again is another one.

    Else "a cat and a cat" and "a cat and a cat and a cat" would be the same.
    """
    edge = ("",) * (SHINGLE - 1)
    seen: Counter[str] = Counter()
    found = []
    for run in runs((*edge, *words, *edge), SHINGLE):
        text = " ".join(run)
        found.append(f"{text} {seen[text]}")
        seen[text] += 1
    return frozenset(found)


def jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    """Shared shingles among all of both, 0 to 1."""
    shared = len(first & second)
    return shared / (len(first) + len(second) - shared)


def runs(words: Words, length: int) -> Iterator[Words]:
    """Every ``length`` words that follow one another."""
    return (words[start : start + length] for start in range(len(words) - length + 1))
