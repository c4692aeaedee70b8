"""The pool as the first stage of the funnel."""

import time
from collections import Counter
from collections.abc import Iterable

from genagent_data.pool import DroppedRequest, PoolConfig, prompt_pool
from genagent_data.request import Request
from genagent_data.synthesis.funnel import StageFigures

POOL = "pool"


def pooled(
    requests: Iterable[Request], config: PoolConfig
) -> tuple[tuple[Request, ...], StageFigures]:
    """What a pool keeps of the requests, and what it dropped and why.

    Raises:
        ValueError, OSError: as ``prompt_pool``.
    """
    drops: Counter[str] = Counter()
    details: dict[str, str] = {}

    def dropped(drop: DroppedRequest) -> None:
        drops[drop.reason] += 1
        against = "" if drop.collides_with is None else f"like {drop.collides_with}, "
        details[drop.reason] = f"{drop.request.id}: {against}{drop.detail}"

    started = time.perf_counter()
    kept = tuple(prompt_pool(requests, config=config, dropped=dropped))
    figures = StageFigures(
        name=POOL,
        kept=len(kept),
        drops=dict(drops),
        seconds=time.perf_counter() - started,
        details=details,
    )
    return kept, figures
