"""One attempt of the agent at one request, as messages and pictures; tokens are not known here."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from genagent_data.pictures import PictureStore
from genagent_data.request import Request
from genagent_rewards import Picture

Ending = Literal[
    "answer", "out_of_rounds", "format_error", "tool_failure", "model_failure", "fixed"
]
"""How a trajectory ended.

- ``answer``: the agent took its last picture for right. ``out_of_rounds``: for wrong, and no other
  was allowed.
- ``format_error``: words that break the form they were asked in.
- ``tool_failure``, ``model_failure``: the tool drew no picture; a model beside the agent, which a
  strategy asks, gave no words at all. Neither says anything of who acted.
- ``fixed``: as many pictures as such a trajectory always has; whether it went on tells of no
  judgement.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """One picture: the thought and the prompt it came from, and what the agent made of it.

    Example: ``Round(thinking="need 3 red circles", tool_prompt="red circle top-left, …",
    picture=picture, judgement="red circle top-left … wrong", seed=17)``
    """

    thinking: str | None
    tool_prompt: str
    picture: Picture | None
    """None where the tool failed."""
    judgement: str | None = None
    """The agent's words on this picture; None where the trajectory ended before them."""
    seed: int = 0
    """The tool's seed for this picture."""
    tool_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Trajectory:
    """A request, the rounds, and how it ended."""

    request: Request
    rounds: tuple[Round, ...]
    answer: str | None = None
    ending: Ending
    error: str | None = None
    """Name of the format error, one of ``FORMAT_ERRORS`` or of a strategy's own, or the message of
    the tool or model that failed."""

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """The pictures drawn, in order; the last one is the trajectory's output."""
        return tuple(round.picture for round in self.rounds if round.picture is not None)

    @property
    def taken_for_right(self) -> tuple[bool | None, ...]:
        """For each picture, whether the agent took it for right, by what it did next: calling the
        tool again took it for wrong, answering for right. None where it broke off instead, and
        where the number of pictures was fixed."""
        if self.ending == "fixed":
            return (None,) * len(self.pictures)
        last = {"answer": True, "out_of_rounds": False}.get(self.ending)
        verdicts = [False] * (len(self.rounds) - 1) + [last] * bool(self.rounds)
        return tuple(
            verdict
            for round, verdict in zip(self.rounds, verdicts, strict=True)
            if round.picture is not None
        )


def trajectory_to_row(trajectory: Trajectory) -> dict[str, Any]:
    """What JSON holds of a trajectory; pictures by name."""
    rounds = [
        {key.name: getattr(round, key.name) for key in fields(Round)}
        | {"picture": None if round.picture is None else round.picture.name}
        for round in trajectory.rounds
    ]
    kept = {key.name: getattr(trajectory, key.name) for key in fields(Trajectory)}
    return kept | {"request": asdict(trajectory.request), "rounds": rounds}


def trajectory_from_row(row: dict[str, Any], pictures: PictureStore) -> Trajectory:
    """The trajectory again, its pictures from the store.

    Raises:
        ValueError: the row is none of a trajectory.
        OSError: a picture is not in the store.
    """
    try:
        request, rounds = row["request"], row["rounds"]
        return Trajectory(
            **row
            | {
                "request": Request(**request | {"hints": tuple(request["hints"])}),
                "rounds": tuple(_round(round, pictures) for round in rounds),
            }
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a trajectory ({error})") from error


def _round(row: dict[str, Any], pictures: PictureStore) -> Round:
    name, rest = row["picture"], {key: value for key, value in row.items() if key != "picture"}
    return Round(picture=None if name is None else pictures.get(name), **rest)
