"""Peak, retention, efficiency: what a trajectory's best picture is worth, and what came after it.

With ``v[t]`` 1 where the judge passes picture ``t`` of ``n``, and ``p`` the first that passes:

    r_peak       = peak       where there is a ``p``                    found
    r_retention  = retention  where there is a ``p`` and v[n] = 0       and lost again, at most 0
    r_efficiency = efficiency * (n - p), 0 where there is no ``p``      and gone on, at most 0

The three aims are those of Generation Navigator (Liu et al. 2026, arXiv 2605.17969), whose PRE-GRPO
rewards finding a good picture, keeping it, and wasting no turn; the formulas for yes and no are
this project's. A failed picture followed by a good one earns no more than a good first one, so
nothing is paid for withholding; and a picture too many costs, where the paper's pair reward pays.
"""

from collections.abc import Sequence

from genagent_rewards.reward_config import RewardConfig


def peak_parts(config: RewardConfig, passed: Sequence[bool]) -> dict[str, float]:
    """What each of the three pays; one whose size is 0 is left out.

    Args:
        passed: whether each picture satisfies the request, in order.
    """
    first = passed.index(True) if True in passed else None
    further = 0 if first is None else len(passed) - 1 - first
    parts = {
        "peak": config.peak if first is not None else 0.0,
        "retention": config.retention if further and not passed[-1] else 0.0,
        "efficiency": config.efficiency * further,
    }
    return {name: value for name, value in parts.items() if getattr(config, name)}
