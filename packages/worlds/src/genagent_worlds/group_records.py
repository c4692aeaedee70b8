"""A step's groups of attempts for readers: rewards, advantages, who was kept, and why others not.

What GRPO learns from is the difference inside a group. Attempts that were not kept were not judged
either: no verdict is paid for that nothing is learnt from, and their rewards are not known.
"""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from genagent_data import (
    PictureStore,
    Request,
    ToolSyntax,
    Trajectory,
    read_jsonl,
    trajectory_from_row,
    trajectory_to_row,
    write_jsonl,
)
from genagent_rewards import PairRecord, RewardBreakdown, RewardRecord, Verdict
from genagent_worlds.outcomes import measure
from genagent_worlds.world import World

Dropped = Literal["tool_failure", "absent_verdict", "resampled"]
"""Why nothing is learnt from an attempt.

- ``tool_failure``: the tool drew no picture; left out before any choice.
- ``absent_verdict``: it was chosen, and a verdict could not be had.
- ``resampled``: others were chosen, so that round counts are even; it was not judged.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptRecord:
    """One attempt of a group, and what was made of it."""

    trajectory: Trajectory
    turns: tuple[str, ...]
    """The agent's words of each turn, to the letter, broken ones included."""
    tool_syntax: ToolSyntax = "hermes"
    """In which they call the tool."""
    record: RewardRecord | None = None
    """None: no judge was asked. Its ``breakdown`` is None where a verdict could not be had."""
    advantage: float | None = None
    """Against the kept ones of its group; None where it was not kept. Of exactly 0 nothing is
    learnt."""
    late_advantage: float | None = None
    """With credit by turn, what the tokens from the first look on have beside it; None where the
    attempt has no pair, or was not kept."""
    shared_first: bool = False
    """Others of its group have its first turn and picture, and no first turn is learnt from."""
    dropped: Dropped | None = None
    """None: kept."""
    true_success: bool | None = None
    """Whether the last picture truly satisfies the request, where the truth is known."""

    @property
    def is_kept(self) -> bool:
        return self.dropped is None

    @property
    def advantages(self) -> tuple[float, ...]:
        """Of the whole attempt, and of the tokens from the first look on, as far as there are
        any."""
        return tuple(one for one in (self.advantage, self.late_advantage) if one is not None)

    @property
    def reward(self) -> RewardBreakdown | None:
        """None where it is not known."""
        return None if self.record is None else self.record.breakdown


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupRecord:
    """The G' attempts at one request, in the order they were numbered."""

    attempts: tuple[AttemptRecord, ...]

    def __post_init__(self) -> None:
        if not self.attempts:
            raise ValueError("a group of no attempts; wants one at least")

    @property
    def request(self) -> Request:
        return self.attempts[0].trajectory.request

    @property
    def rewards(self) -> list[float]:
        """Of the kept ones."""
        return [one.reward.total for one in self.attempts if one.is_kept and one.reward is not None]

    @property
    def teaches(self) -> bool:
        """Rewards differ: something is learnt from it."""
        return any(advantage != 0.0 for one in self.attempts for advantage in one.advantages)

    @property
    def spread(self) -> float:
        """Standard deviation of the kept ones' rewards, of n as ``group_advantages`` has it; 0 of
        none."""
        return statistics.pstdev(self.rewards or [0.0])


def with_truth(world: World, groups: Sequence[GroupRecord]) -> list[GroupRecord]:
    """The same with ``true_success``, where the world knows the truth: nothing is paid for."""
    if world.truth is None:
        return list(groups)
    outcomes = iter(measure(world, (one.trajectory for g in groups for one in g.attempts)))
    return [
        GroupRecord(
            attempts=tuple(
                replace(one, true_success=next(outcomes).success) for one in group.attempts
            )
        )
        for group in groups
    ]


def groups_file(folder: Path, step: int) -> Path:
    """Where a run keeps the groups of a step; 1 is the first."""
    return folder / f"groups-{step:06d}.jsonl"


def write_groups(path: Path, groups: Iterable[GroupRecord]) -> None:
    """One group a line, whole or not at all. Raises OSError where it cannot be written."""
    write_jsonl(path, ({"attempts": [_row(one) for one in group.attempts]} for group in groups))


def read_groups(path: Path, pictures: PictureStore) -> list[GroupRecord]:
    """What ``write_groups`` wrote.

    Raises:
        ValueError: a line is no group; the message names file and line number.
        OSError: the file cannot be read, or a picture is not in the store.
    """

    def group(row: dict[str, Any]) -> GroupRecord:
        if not isinstance(row.get("attempts"), list):
            raise ValueError('no list of "attempts"')
        return GroupRecord(attempts=tuple(_attempt(one, pictures) for one in row["attempts"]))

    return read_jsonl(path, group)


def _row(one: AttemptRecord) -> dict[str, Any]:
    return trajectory_to_row(one.trajectory) | {
        "turns": one.turns,
        "tool_syntax": one.tool_syntax,
        "reward": None if one.record is None else asdict(one.record),
        "advantage": one.advantage,
        "late_advantage": one.late_advantage,
        "shared_first": one.shared_first,
        "dropped": one.dropped,
        "true_success": one.true_success,
    }


def _attempt(row: dict[str, Any], pictures: PictureStore) -> AttemptRecord:
    try:
        own = {
            name: row.pop(name)
            for name in ("turns", "tool_syntax", "reward", "advantage", "dropped", "true_success")
        }
        record = None if own["reward"] is None else _record(own.pop("reward"))
        own.pop("reward", None)
        own["late_advantage"] = row.pop("late_advantage", None)
        own["shared_first"] = row.pop("shared_first", False)
        own["turns"] = tuple(own["turns"])
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not an attempt ({error})") from error
    if own["dropped"] not in (None, *get_args(Dropped)):
        raise ValueError(f'"dropped" is {own["dropped"]!r}; wants one of {get_args(Dropped)}')
    return AttemptRecord(trajectory=trajectory_from_row(row, pictures), record=record, **own)


def _record(row: dict[str, Any]) -> RewardRecord:
    breakdown, point = row["breakdown"], row["point_verdict"]
    return RewardRecord(
        breakdown=None if breakdown is None else RewardBreakdown(**breakdown),
        point_verdict=None if point is None else Verdict(**point),
        pair_verdicts=tuple(
            PairRecord(
                **pair
                | {"verdict": None if pair["verdict"] is None else Verdict(**pair["verdict"])}
            )
            for pair in row["pair_verdicts"]
        ),
        picture_verdicts=tuple(
            None if verdict is None else Verdict(**verdict)
            for verdict in row.get("picture_verdicts", ())
        ),
        error=row["error"],
    )
