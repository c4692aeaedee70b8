"""Training requests that ask what is held out."""

import logging
from pathlib import Path

from genagent_data import PoolConfig, colliding
from genagent_worlds.own_requests import requests_from

logger = logging.getLogger("genagent_worlds")


def warn_of_overlap(train: Path | None, held_out: Path | None) -> None:
    """A line where requests of the one file ask, or nearly ask, what the other holds out; nothing
    where both are one file, which is meant."""
    if train is None or held_out is None or train == held_out:
        return
    asked = requests_from(train)
    found = colliding(asked, requests_from(held_out), similarity=PoolConfig().similarity)
    if not found:
        return
    first = found[0]
    logger.warning(
        "%d of %d requests of %s ask what %s holds out (the first: %r is %r there, %s); success on "
        "them is no evidence. synthesize.py --pool.benchmarks %s writes a requests.jsonl without",
        *(len(found), len(asked), train, held_out),
        *(first.request.id, first.collides_with, first.detail, held_out),
    )
