"""Anchors: for each request the tool's picture of its own words, which first pictures must beat.

    r_pair = 0.3 where p[1] beats p[0] and every p[i+1] beats p[i], else 0      (Eq. 7 from p[0])

``p[0]`` is drawn once a request and step from a seed of its own, and no agent has a hand in it. So
a trajectory of one picture has a pair too, and each is paid for having come from the same fixed
start, where Eq. 7 pays for having come from a first picture that the agent can make worse. This
project's; InterleaveThinker (arXiv 2606.13679) pays for improving on a stored picture likewise.

Where the tool fails, the request has no anchor, and all attempts at it are paid as without one.
"""

from collections.abc import Sequence

from genagent_data import Picture, PictureStore, Request, derive_seed
from genagent_rollout.drawing import Drawing
from genagent_rollout.drawn_round import draw_round
from genagent_rollout.side_by_side import side_by_side
from genagent_tools import AsyncImageTool, ImageTool


def draw_anchors(
    tool: ImageTool | AsyncImageTool,
    requests: Sequence[Request],
    *,
    seed: int,
    step: int,
    pictures: PictureStore,
    batch: int | None = None,
) -> list[Picture | None]:
    """The anchor of each request, None where the tool failed; all at once, before its attempts:
    judges may ask about an attempt as soon as it has ended.

    Args:
        batch: pictures that a tool in this process draws at once, see ``BatchedDrawing``.

    Raises:
        OSError: a picture cannot be stored.
    """

    async def draw(request: Request, own: int, drawing: Drawing) -> Picture | None:
        return (await draw_round(drawing, request.prompt, seed=own, place=0)).round.picture

    seeds = [derive_seed(seed, "anchor", step, index) for index in range(len(requests))]
    done = side_by_side(draw, tool, requests, seeds=seeds, store=pictures, batch=batch)
    return list(done.results)


def anchor_metrics(anchors: Sequence[Picture | None]) -> dict[str, float]:
    """How many anchors were drawn, and how many could not be; nothing where none was asked for."""
    if not anchors:
        return {}
    failed = anchors.count(None)
    return {
        "rollout/anchors": float(len(anchors) - failed),
        "rollout/anchor_failures": float(failed),
    }
