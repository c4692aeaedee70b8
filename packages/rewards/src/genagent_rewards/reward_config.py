"""The reward as options: the paper's parts, and others that stand beside them."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

SingleRound = Literal["zero", "literal", "if_passed", "none"]
"""See ``RewardConfig.single_round``."""
Credit = Literal["trajectory", "turn"]
"""See ``RewardConfig.credit``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RewardConfig:
    """Sizes of the reward's parts. Example: RewardConfig(single_round="zero")"""

    point: float = 0.7
    """Earned where the last picture satisfies the request."""
    format: float = -0.2
    """Paid for a format error."""
    pair: float = 0.3
    """Earned where every picture beats its predecessor."""
    lambda_failed: float = 0.5
    """Factor of the pair reward where the point reward was not earned."""
    single_round: SingleRound = "if_passed"
    """What one picture earns as pair reward: zero, nothing; literal, all of it (the empty "for
    all"); if_passed, all of it where the point reward was earned. none turns the pair reward off
    for every trajectory."""
    credit: Credit = "trajectory"
    """Whose tokens the pair reward is credited to: the whole trajectory's, as in the paper, or
    (turn) only those from the first look on, against the others of its group that have a pair; one
    picture then earns no pair reward, whatever single_round says."""
    anchored: bool = False
    """Whether the first picture must beat the tool's picture of the raw request, so that one
    picture has a pair too."""
    peak: float = 0.0
    """Earned where any picture satisfies the request; the judge is asked about all of them, as it
    is for the next three."""
    retention: float = 0.0
    """Paid, as a negative number, where a picture satisfies the request and the last does not."""
    efficiency: float = 0.0
    """Paid, as a negative number, for each picture after the first that satisfies the request."""
    assessment: float = 0.0
    """Earned in part by each picture that the agent, by what it does next, takes for what the judge
    takes it for."""
    both_orders: bool = False
    """Ask each pair in both orders; a win must hold in both."""
    own: str = ""
    """A reward of one's own in place of this one: module:callable, called with both judges and
    these options."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.point) and self.point > 0):
            raise ValueError(f"point is {self.point}; wants a number above 0")
        for name in ("format", "retention", "efficiency"):
            if not (math.isfinite(value := getattr(self, name)) and value <= 0):
                raise ValueError(f"{name} is {value}; it is a penalty, at most 0")
        for name in ("pair", "peak", "assessment"):
            if not (math.isfinite(value := getattr(self, name)) and value >= 0):
                raise ValueError(f"{name} is {value}; wants a number of at least 0")
        if not 0 <= self.lambda_failed <= 1:
            raise ValueError(f"lambda_failed is {self.lambda_failed}; wants a factor in [0, 1]")
        for name, known in (("single_round", SingleRound), ("credit", Credit)):
            if getattr(self, name) not in get_args(known):
                raise ValueError(f"{name} is {getattr(self, name)!r}; known: {get_args(known)}")
        if self.single_round == "none" and (self.credit == "turn" or self.anchored):
            raise ValueError(
                "single_round is 'none', which turns the pair reward off; credit by turn and "
                "anchored pairs want another one"
            )
        if self.credit == "turn" and self.anchored:
            # The first prompt alone earns an anchored pair, before there is anything to look at.
            raise ValueError("credit is 'turn' and pairs are anchored; want one of the two")

    @property
    def asks_about_every_picture(self) -> bool:
        """Not only about the last one."""
        return any((self.peak, self.retention, self.efficiency, self.assessment))
