"""The rounds of an attempt as a report shows them."""

from collections.abc import Sequence
from dataclasses import dataclass

from genagent_data import Trajectory
from genagent_tracking.thumbnails import Thumbnail, Thumbnails
from genagent_worlds import PictureWord


@dataclass(frozen=True, kw_only=True, slots=True)
class RoundView:
    """One picture with what led to it and what was said of it."""

    number: int
    picture: Thumbnail | None
    thinking: str
    prompt: str
    assessment: str
    taken_for_right: bool | None
    truth: PictureWord | None = None
    judge: PictureWord | None = None

    @property
    def is_right(self) -> bool | None:
        """By the truth, or else by the judge."""
        word = self.truth or self.judge
        return None if word is None else word.passed


def attempt_rounds(
    trajectory: Trajectory,
    thumbnails: Thumbnails,
    words: Sequence[tuple[PictureWord | None, PictureWord | None]] = (),
) -> list[RoundView]:
    """
    Args:
        words: what the truth and the judge said of each picture, where that is known.

    Raises:
        OSError: a picture cannot be read.
    """
    known = words or [(None, None)] * len(trajectory.pictures)
    said = zip(trajectory.taken_for_right, known, strict=True)
    views = []
    for number, round in enumerate(trajectory.rounds, start=1):
        taken, (truth, judge) = (None, (None, None)) if round.picture is None else next(said)
        views.append(
            RoundView(
                number=number,
                picture=None if round.picture is None else thumbnails.of(round.picture),
                thinking=round.thinking or "",
                prompt=round.tool_prompt,
                assessment=round.judgement or "",
                taken_for_right=taken,
                truth=truth,
                judge=judge,
            )
        )
    return views
