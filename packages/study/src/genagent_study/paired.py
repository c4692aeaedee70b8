"""Two ways to answer the same requests, seed by seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from genagent_study.over_seeds import OverSeeds, over_seeds
from genagent_worlds import PairedDifference, paired_difference, rate

Marks = Mapping[str, bool | None]
"""By request, whether it was answered rightly; None where that is not known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """How much more often one is right than the other on the same requests."""

    by_seed: OverSeeds
    requests: PairedDifference | None
    """Of the requests of all seeds: exact for these requests and these trainings, and blind to how
    other trainings would differ. None where seeds ask the same requests, which would count
    several times."""


def difference(pairs: Sequence[tuple[Marks, Marks]]) -> Difference:
    """Second minus first of each seed, on the requests that both know an end of.

    Raises:
        ValueError: a seed's two share no request.
    """
    seeds, asked = [], []
    for one, other in pairs:
        shared = [id for id in one if id in other]
        if not (known := paired_difference([(one[id], other[id]) for id in shared])).trials:
            raise ValueError("a paired difference wants requests that both have answered")
        seeds.append(known)
        asked += shared
    whole = PairedDifference(
        both=sum(known.both for known in seeds),
        first_only=sum(known.first_only for known in seeds),
        second_only=sum(known.second_only for known in seeds),
        neither=sum(known.neither for known in seeds),
    )
    return Difference(
        by_seed=over_seeds([known.value for known in seeds]),
        requests=whole if len(set(asked)) == len(asked) else None,
    )


def share(marks: Marks) -> float:
    """Of those that are right among those that are known."""
    return rate(list(marks.values())).value
