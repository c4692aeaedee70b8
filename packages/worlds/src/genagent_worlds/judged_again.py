"""Verdicts that could not be had, asked for again."""

from collections.abc import Sequence
from dataclasses import replace

from genagent_worlds.outcomes import Outcome, measure
from genagent_worlds.world import World


def judged_again(world: World, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The same, with what is said by now of pictures whose verdict could not be had; the others
    stand."""
    places = [place for place, one in enumerate(outcomes) if None in one.passed]
    found = list(outcomes)
    now = measure(world, [outcomes[place].trajectory for place in places])
    for place, new in zip(places, now, strict=True):
        old = outcomes[place]
        known = [passed is not None for passed in old.passed]
        old_reasons = old.reasons or (None,) * len(known)
        found[place] = replace(
            new,
            passed=tuple(
                before if is_known else after
                for before, after, is_known in zip(old.passed, new.passed, known, strict=True)
            ),
            reasons=tuple(
                before if is_known else after
                for before, after, is_known in zip(old_reasons, new.reasons, known, strict=True)
            ),
            judged=old.judged,
        )
    return found
