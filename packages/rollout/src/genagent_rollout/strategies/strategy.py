"""The seam of a strategy: one request in, one trajectory out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

from genagent_data import (
    PictureStore,
    Request,
    Trajectory,
    light_trajectory,
    trajectory_from_row,
    trajectory_to_row,
)
from genagent_rollout.drawing import Drawing
from genagent_rollout.side_by_side import side_by_side
from genagent_tools import AsyncImageTool, ImageTool


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """What became of one request."""

    trajectory: Trajectory
    turns: tuple[str, ...]
    """What models said, to the letter and in order; () where none speaks."""
    seed: int
    seconds: float
    """From the request to the end, waits for others included."""
    fallbacks: int = 0
    """Words in which there was nothing to be read, so that the request's own stood in."""


class Strategy(Protocol):
    """A way to answer requests."""

    @property
    def name(self) -> str:
        """With all that its results depend on but tool, request and seed; results are kept by it.

        Example: ``"workflow(rounds=3, verifier=qwen verify@1f3a…, writer=qwen reflect@9c2d…)"``
        """
        ...

    async def answer(self, request: Request, drawing: Drawing, *, seed: int) -> Answered:
        """One trajectory. A tool that fails, and a model without usable words, end it and are named
        there. Every wait for a model's words stands in ``drawing.activity.turn()``: pictures of a
        tool in this process are drawn when nobody speaks.

        Args:
            seed: words and pictures follow from it.

        Raises:
            ValueError: a configuration with which no request can be answered.
            OSError: a picture cannot be stored.
        """
        ...


def answer_all(
    strategy: Strategy,
    tool: ImageTool | AsyncImageTool,
    requests: Sequence[Request],
    *,
    seeds: Sequence[int],
    store: PictureStore,
    batch: int | None = None,
    ended: Callable[[int, Answered], None] | None = None,
    drawn: Callable[[int, int], None] | None = None,
) -> list[Answered]:
    """Answer each request once, side by side, from ordinary code.

    Args:
        seeds: one for each request.
        batch: pictures that a tool in this process draws at once, see ``BatchedDrawing``.
        ended: told of each as it ends, by its place among the requests, while others still run.
        drawn: told of pictures as they come, see ``Activity``.

    Raises:
        ValueError: not one seed for each request, or as ``Strategy.answer``.
        OSError: a picture cannot be stored.
    """

    async def one(request: Request, seed: int, drawing: Drawing) -> Answered:
        answered = await strategy.answer(request, drawing, seed=seed)
        # Pixels of a cell of 1,000 requests are 3 GB and more.
        return replace(answered, trajectory=light_trajectory(answered.trajectory, store))

    done = side_by_side(
        one, tool, requests, seeds=seeds, store=store, batch=batch, ended=ended, drawn=drawn
    )
    return list(done.results)


def answered_to_row(answered: Answered) -> dict[str, Any]:
    """What JSON holds of it; pictures by name."""
    own = {key.name: getattr(answered, key.name) for key in fields(Answered)}
    return own | {"trajectory": trajectory_to_row(answered.trajectory)}


def answered_from_row(row: dict[str, Any], pictures: PictureStore) -> Answered:
    """It again, its pictures from the store.

    Raises:
        ValueError: the row is of something else.
        OSError: a picture is not in the store.
    """
    try:
        trajectory = trajectory_from_row(row["trajectory"], pictures)
        return Answered(**row | {"trajectory": trajectory, "turns": tuple(row["turns"])})
    except (KeyError, TypeError) as error:
        raise ValueError(f"not the answer to a request ({error})") from error
