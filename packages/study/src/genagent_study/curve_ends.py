"""Where curves of training begin and end, and how far they rise between."""

from collections.abc import Mapping, Sequence

from genagent_study.over_seeds import OverSeeds, over_seeds


def ends(curves: Sequence[Mapping[int, float]]) -> tuple[OverSeeds, OverSeeds]:
    """Means of the first and of the last fifth of the steps."""
    pairs = [_ends(by_step) for by_step in curves]
    return over_seeds([first for first, _ in pairs]), over_seeds([last for _, last in pairs])


def rise(by_step: Mapping[int, float]) -> float:
    """Mean of the last fifth of the steps minus mean of the first."""
    first, last = _ends(by_step)
    return last - first


def _ends(by_step: Mapping[int, float]) -> tuple[float, float]:
    values = list(by_step.values())
    fifth = max(1, len(values) // 5)
    return sum(values[:fifth]) / fifth, sum(values[-fifth:]) / fifth
