"""What is to be judged of a trajectory, and what it earned."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from genagent_rewards.picture import Picture
from genagent_rewards.verdict import Verdict

ANCHOR = -1
"""``PairRecord.index`` of the comparison of the anchor with the first picture."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RewardBreakdown:
    """A reward and its parts: ``total = point + format + lambda * pair``, and what the options
    add, each None where it is off."""

    total: float
    point: float
    pair: float
    """Before lambda."""
    format: float
    peak: float | None = None
    retention: float | None = None
    efficiency: float | None = None
    assessment: float | None = None
    late: float | None = None
    """What of the total is credited to the tokens from the first look on alone: with credit by
    turn, ``lambda * pair`` of a trajectory that has a pair."""

    @property
    def early(self) -> float:
        """The rest, which the whole trajectory is credited with. Rounded, so that equal parts stay
        equal whatever was added to them: of equal rewards nothing is learnt."""
        return round(self.total - (self.late or 0.0), 12)

    @property
    def options(self) -> dict[str, float]:
        """The parts that options add, by name."""
        names = ("peak", "retention", "efficiency", "assessment")
        parts = {name: getattr(self, name) for name in names}
        return {name: value for name, value in parts.items() if value is not None}


@dataclass(frozen=True, kw_only=True, slots=True)
class RewardCase:
    """What is to be judged of one trajectory.

    Example: ``RewardCase(id="train-7/3", request="three red circles", hints=(),
    pictures=(Picture.of(image),), format_error=False)``
    """

    id: str
    """Names the trajectory; the order of its comparisons derives from it."""
    request: str
    """The user's words, never the agent's prompt."""
    hints: tuple[str, ...]
    pictures: tuple[Picture, ...]
    """In the order drawn; the last is the output."""
    format_error: bool
    anchor: Picture | None = None
    """The tool's picture of the request's own words, where pairs are anchored and it was drawn."""
    taken_for_right: tuple[bool | None, ...] = ()
    """Whether the agent took each picture for right, by what it did next; None where that does not
    show. Empty: nobody has said."""

    def __post_init__(self) -> None:
        if self.taken_for_right and len(self.taken_for_right) != len(self.pictures):
            raise ValueError(
                f"taken_for_right says {len(self.taken_for_right)} of {len(self.pictures)} "
                "pictures; wants one of each, or none at all"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class PairRecord:
    """One comparison of two consecutive pictures."""

    index: int
    """0 compares the first two pictures, -1 the anchor with the first."""
    verdict: Verdict | None
    """None where nothing was asked (the same picture twice) or no verdict could be had."""
    swapped: bool
    """The judge saw the later picture first."""
    win: bool | None
    """The later picture was preferred; None where no verdict could be had."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RewardRecord:
    """A reward with the verdicts it rests on."""

    breakdown: RewardBreakdown | None
    """None: absent, because a verdict could not be had."""
    point_verdict: Verdict | None
    """On the last picture. None where there was none to ask about, or no verdict could be had."""
    pair_verdicts: tuple[PairRecord, ...] = ()
    """One record a pair, or two with ``both_orders``; none where the pair reward is off."""
    picture_verdicts: tuple[Verdict | None, ...] = ()
    """On each picture, where an option asks about all of them."""
    error: str | None = None
    """Why the reward is absent, where the judge says."""


class Reward(Protocol):
    """What attempts earn."""

    def score(self, cases: Sequence[RewardCase], *, seed: int) -> list[RewardRecord]:
        """A record for each case, in order. The same case and seed earn the same, whatever else is
        asked in the same call or before; asked on several threads where judges are endpoints."""
        ...
