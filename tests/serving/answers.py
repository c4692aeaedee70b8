"""Requests that were answered, with whatever words."""

from collections.abc import Sequence

from PIL import Image

from genagent_data import Ending, Picture, Request, Round, Trajectory
from genagent_serving import Answered


def picture(shade: int, side: int = 16) -> Picture:
    return Picture.of(Image.new("RGB", (side, side), (shade, 20, 20)))


def answered(
    prompt: str = "two red circles",
    *,
    id: str = "r",
    words: str = "so so",
    shades: Sequence[int | None] = (10, 20),
    ending: Ending = "answer",
    error: str | None = None,
    answer: str | None = "done",
) -> Answered:
    """One round a shade, None where the tool failed; the agent says the same words everywhere."""
    rounds = tuple(
        Round(
            thinking=words,
            tool_prompt=words,
            picture=None if shade is None else picture(shade),
            judgement=words,
            seed=7,
            tool_seconds=0.25,
        )
        for shade in shades
    )
    return Answered(
        trajectory=Trajectory(
            request=Request(id=id, prompt=prompt),
            rounds=rounds,
            answer=answer,
            ending=ending,
            error=error,
        ),
        turns=(words,) * (len(rounds) + 1),
        turn_seconds=(0.5,) * (len(rounds) + 1),
        seed=3,
        seconds=2.0,
    )
