"""How trajectories end, as metrics."""

from collections import Counter
from collections.abc import Sequence

from genagent_data import Trajectory


def ending_metrics(trajectories: Sequence[Trajectory]) -> dict[str, float]:
    """Shares of the endings, and how many format errors of each name there were.

    Example: ``{"rollout/answer": 0.9, …, "format_error/no_action": 3.0}``
    """
    endings = {
        f"rollout/{ending}": sum(t.ending == ending for t in trajectories) / len(trajectories)
        for ending in ("answer", "out_of_rounds", "tool_failure")
    }
    errors = Counter(t.error or "" for t in trajectories if t.ending == "format_error")
    return endings | {f"format_error/{name}": float(n) for name, n in sorted(errors.items())}
