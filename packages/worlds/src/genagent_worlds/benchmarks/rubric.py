"""Scores of several aspects in a judge's words, a line each: ``Realism: 2``."""

import re
from collections.abc import Sequence

from genagent_rewards import spoken_words

_EDGE = r"[ \t*_`#]*+"
"""Blanks and markdown."""


def labelled_scores(reply: str, labels: Sequence[str], *, top: int) -> dict[str, float] | None:
    """The whole number from 0 to ``top`` of each label, by label, or None.

    A label counts where nothing else stands on its line but markdown and ``/top``. Another scale,
    a label that is not there, or one that is said twice with different numbers gives None: a judge
    is asked again rather than guessed at. Thoughts are left out.

    Example: ``labelled_scores("Realism: 2/2", ("Realism",), top=2) == {"Realism": 2.0}``
    """
    line = re.compile(
        rf"{_EDGE}({'|'.join(labels)}){_EDGE}[:\uff1a]{_EDGE}([0-9]{{1,3}}){_EDGE}"
        rf"(?:/\s*+([0-9]{{1,3}}))?[\s*_`.]*+",
        re.IGNORECASE,
    )
    by_name = {label.lower(): label for label in labels}
    scores: dict[str, float] = {}
    for text in spoken_words(reply).splitlines():
        found = line.fullmatch(text)
        if found is None:
            continue
        label, value = by_name[found[1].lower()], float(found[2])
        other_scale = found[3] is not None and int(found[3]) != top
        if value > top or other_scale or scores.get(label, value) != value:
            return None
        scores[label] = value
    return scores if len(scores) == len(labels) else None


def words_before_scores(reply: str, labels: Sequence[str]) -> str:
    """What a judge says before the first line that begins with a label; thoughts are left out."""
    start = re.compile(rf"(?im)^{_EDGE}(?:{'|'.join(labels)}){_EDGE}[:\uff1a]")
    return start.split(spoken_words(reply), maxsplit=1)[0].strip()
