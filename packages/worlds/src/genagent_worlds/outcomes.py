"""What became of attempts: whether their pictures meet the requests, and by whose verdict.

With a truth, success is the truth's and is called ``success``. Without one it is what the judge
says, and is called ``judged_success`` wherever it is printed or logged.

An attempt that a failed tool ended, or a model behind endpoints that a strategy asks, says nothing
of the agent: it is neither a success nor a failure, and figures are of the others.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from genagent_data import (
    PictureStore,
    Request,
    Trajectory,
    read_jsonl,
    trajectory_from_row,
    trajectory_to_row,
    write_jsonl,
)
from genagent_rewards import JudgesPictures, PointQuestion, RewardRecord
from genagent_rewards.verdict import why_absent
from genagent_worlds.rates import rate
from genagent_worlds.world import World

Source = Literal["truth", "judge"]

SERVICE_FAILURES = ("tool_failure", "model_failure")
"""Endings of attempts that say nothing of who acted."""


FIRST_SEEN = ("success", "judged_success", "first_success", "rounds")
"""Figures of a step that say whether anything is learnt; the reward stands beside them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureWord:
    """What the truth or the judge said of a picture.

    Example: ``PictureWord(passed=False, reason="2 red circles instead of 3")``
    """

    passed: bool | None
    """None: a verdict could not be had."""
    reason: str | None
    """Why; without a verdict why there is none, where the judge says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """One attempt, and what is known of its pictures."""

    trajectory: Trajectory
    passed: tuple[bool | None, ...]
    """Whether each picture meets the request, in order; None where a verdict could not be had."""
    source: Source
    why_absent: str | None = None
    """Why the last verdict that is missing could not be had, where the judge says."""
    reasons: tuple[str | None, ...] = ()
    """Why ``source`` says so, of each picture; without a verdict why there is none. Empty where it
    was not kept."""
    judged: PictureWord | None = None
    """What the judge said of the last picture where success is the truth's; None: not asked."""

    @property
    def request(self) -> Request:
        return self.trajectory.request

    @property
    def service_failed(self) -> bool:
        """The tool ended it, or a model that gave no words; not the agent."""
        return self.trajectory.ending in SERVICE_FAILURES

    @property
    def success(self) -> bool | None:
        """By the last picture; without one there is none. None where that is not known, or where
        the tool failed to draw what would have been the last."""
        if self.service_failed:
            return None
        return self.passed[-1] if self.passed else False

    @property
    def first_success(self) -> bool | None:
        """By the first picture, which counts also where the tool failed a later one: leaving it out
        would leave out those that the agent took for wrong."""
        if self.passed:
            return self.passed[0]
        return None if self.service_failed else False

    @property
    def agreements(self) -> list[bool]:
        """For each picture that the agent and ``source`` gave a verdict on: whether they agree."""
        return [
            said == passed
            for said, passed in zip(self.trajectory.taken_for_right, self.passed, strict=True)
            if said is not None and passed is not None
        ]


def measure(world: World, trajectories: Iterable[Trajectory]) -> list[Outcome]:
    """Every picture held against its request, by the truth or, where there is none, the judge."""
    if world.truth is not None:
        return judge_outcomes(trajectories, world.truth.point, source="truth")
    return judge_outcomes(trajectories, world.judges.point, source="judge")


def judge_outcomes(
    trajectories: Iterable[Trajectory], judge: JudgesPictures, *, source: Source
) -> list[Outcome]:
    """Ask about every picture, all in one call."""
    attempts = list(trajectories)
    questions = [
        PointQuestion(request=attempt.request.prompt, hints=attempt.request.hints, picture=picture)
        for attempt in attempts
        for picture in attempt.pictures
    ]
    answered = zip(questions, judge.judge(questions), strict=True)
    outcomes = []
    for attempt in attempts:
        own = [next(answered) for _ in attempt.pictures]
        reasons = tuple(
            why_absent(judge, question) if answer is None else answer.reason
            for question, answer in own
        )
        absent = [r for (_, answer), r in zip(own, reasons, strict=True) if answer is None]
        outcomes.append(
            Outcome(
                trajectory=attempt,
                passed=tuple(
                    None if answer is None else answer.choice == "yes" for _, answer in own
                ),
                source=source,
                why_absent=absent[-1] if absent else None,
                reasons=reasons,
            )
        )
    return outcomes


def success_name(source: Source) -> str:
    """What success by this source is called."""
    return "success" if source == "truth" else "judged_success"


def summarize(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Mean figures of an evaluation, by metric name; a share of nothing is left out.

    ``tool_failures`` is the share of attempts that a failed tool ended, or a model that a strategy
    asks; ``rounds``, ``format_errors`` and success are of the others.

    Example: ``{"success": 0.8, "first_success": 0.5, "rounds": 1.5, …}``, and without a truth
    ``{"judged_success": 0.8, "first_judged_success": 0.5, …, "absent_verdicts": 2.0}``
    """
    source = outcomes[0].source
    name = success_name(source)
    agreements = [agreed for outcome in outcomes for agreed in outcome.agreements]
    figures = {
        **_shares(
            **{
                name: [outcome.success for outcome in outcomes],
                f"first_{name}": [outcome.first_success for outcome in outcomes],
                "judgement_agreement": agreements,
            }
        ),
        **_ending_figures([outcome.trajectory for outcome in outcomes]),
    }
    if source == "judge":
        absent = sum(outcome.passed.count(None) for outcome in outcomes)
        figures["absent_verdicts"] = float(absent)
    return figures


def step_figures(
    world: World, trajectories: Sequence[Trajectory], kept: Sequence[RewardRecord]
) -> dict[str, float]:
    """Figures of a training step's attempts: what is looked at first under ``agent/``, the group
    that MLflow sorts first, the others under ``rollout/``.

    With a truth, of all attempts. Without one no verdict is asked for that is not paid for anyway:
    ``judged_success`` is of the attempts that were kept, whose round counts were evened out. What a
    failed tool ended counts as in ``summarize``.

    Args:
        trajectories: all attempts.
        kept: rewards of those that are learnt from.
    """
    if world.truth is not None:
        figures = summarize(measure(world, trajectories))
    else:
        passed = [
            record.point_verdict is not None and record.point_verdict.choice == "yes"
            for record in kept
            if record.breakdown is not None
        ]
        figures = {**_ending_figures(trajectories), **_shares(judged_success=passed)}
    return {
        f"{'agent' if name in FIRST_SEEN else 'rollout'}/{name}": value
        for name, value in figures.items()
    }


def _ending_figures(trajectories: Sequence[Trajectory]) -> dict[str, float]:
    drawn = [one for one in trajectories if one.ending not in SERVICE_FAILURES]
    figures = {"tool_failures": (len(trajectories) - len(drawn)) / len(trajectories)}
    if drawn:
        figures["rounds"] = sum(len(one.pictures) for one in drawn) / len(drawn)
        errors = sum(one.ending == "format_error" for one in drawn)
        figures["format_errors"] = errors / len(drawn)
    return figures


def _shares(**values: Sequence[bool | None]) -> dict[str, float]:
    shares = {name: rate(given) for name, given in values.items()}
    return {name: share.value for name, share in shares.items() if share.trials}


def write_outcomes(path: Path, outcomes: Iterable[Outcome]) -> None:
    """One JSON object a line, whole or not at all. Raises OSError where it cannot be written."""
    write_jsonl(
        path,
        (
            trajectory_to_row(one.trajectory)
            | {
                "passed": one.passed,
                "source": one.source,
                "why_absent": one.why_absent,
                "reasons": one.reasons,
                "judged": None if one.judged is None else asdict(one.judged),
            }
            for one in outcomes
        ),
    )


def read_outcomes(path: Path, pictures: PictureStore) -> list[Outcome]:
    """What ``write_outcomes`` wrote.

    Raises:
        ValueError: a line is no outcome; the message names file and line number.
        OSError: the file cannot be read, or a picture is not in the store.
    """

    def outcome(row: dict[str, Any]) -> Outcome:
        passed, source = row.pop("passed", None), row.pop("source", None)
        reason, reasons = row.pop("why_absent", None), row.pop("reasons", ())
        judged = row.pop("judged", None)
        trajectory = trajectory_from_row(row, pictures)
        if not isinstance(passed, list) or len(passed) != len(trajectory.pictures):
            raise ValueError(f'"passed" is {passed!r} for {len(trajectory.pictures)} pictures')
        if not isinstance(reasons, list | tuple) or len(reasons) not in (0, len(passed)):
            raise ValueError(f'"reasons" is {reasons!r:.80} for {len(passed)} pictures')
        if source not in ("truth", "judge"):
            raise ValueError(f'"source" is {source!r}; wants truth or judge')
        return Outcome(
            trajectory=trajectory,
            passed=tuple(passed),
            source=source,
            why_absent=reason,
            reasons=tuple(reasons),
            judged=None if judged is None else _picture_word(judged),
        )

    return read_jsonl(path, outcome)


def _picture_word(row: object) -> PictureWord:
    if not isinstance(row, dict) or row.keys() != {"passed", "reason"}:
        raise ValueError(f'"judged" is {row!r:.80}; wants "passed" and "reason"')
    return PictureWord(**row)
