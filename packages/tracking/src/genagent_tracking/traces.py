"""Trajectories as MLflow traces: one root span that holds the conversation, verdicts as feedback.

One span and not one a round: MLflow's page then shows all rounds with their pictures as one
conversation. Verdicts of a language model are marked as such, computed ones as code, people's as
human.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from genagent_rewards import PairRecord, RewardRecord, Verdict
from genagent_tracking.messages import Message
from genagent_tracking.record import PersonFeedback, TrajectoryRecord

_REWARD_SOURCE = "genagent_rewards.hybrid"


@dataclass(frozen=True, kw_only=True, slots=True)
class FeedbackItem:
    """One judgement on a trajectory. Example: ``FeedbackItem(name="reward", value=0.7)``"""

    name: str
    value: float | bool | None
    """None: absent, a verdict could not be had."""
    source: str = _REWARD_SOURCE
    by_model: bool = False
    """A language model said so."""
    by_person: bool = False
    rationale: str | None = None
    metadata: dict[str, str] | None = None


def feedback_items(item: TrajectoryRecord) -> list[FeedbackItem]:
    """What is known about a trajectory: the truth, the reward and its parts, the verdicts.

    MLflow's list shows the first five names of the alphabet, so they begin with what matters.
    """
    items = []
    if item.true_success is not None:
        items.append(FeedbackItem(name="actual success", value=item.true_success, source="truth"))
    if item.judged_success is not None:
        items.append(FeedbackItem(name="judge passed", value=item.judged_success, source="judge"))
    if item.record is not None:
        items += _reward_items(item.record)
        if item.record.point_verdict is not None:
            verdict = item.record.point_verdict
            items.append(_verdict_item("judge passed", verdict.choice == "yes", verdict, {}))
        items += [_pair_item(pair) for pair in item.record.pair_verdicts]
        # The last picture's is there already.
        for number, verdict in enumerate(item.record.picture_verdicts[:-1], start=1):
            if verdict is not None:
                name = f"judge passes picture {number}"
                items.append(_verdict_item(name, verdict.choice == "yes", verdict, {}))
    return items


def person_items(feedback: PersonFeedback) -> list[FeedbackItem]:
    """What a person said of a trajectory."""
    said = {"source": feedback.who, "rationale": feedback.comment, "by_person": True}
    items = [FeedbackItem(name="person thumb up", value=feedback.thumb_up, **said)]
    if feedback.best_picture is not None:
        items.append(
            FeedbackItem(name="person best picture", value=float(feedback.best_picture), **said)
        )
    return items


def summary_line(item: TrajectoryRecord) -> str:
    """How a trajectory ended, for lists. Example: ``"answer, 2 rounds, reward 1.00"``"""
    trajectory = item.trajectory
    ending = trajectory.ending.replace("_", " ")
    if trajectory.error is not None:
        ending = f"{ending} ({trajectory.error})"
    rounds = len(trajectory.rounds)
    parts = [ending, f"{rounds} round{'' if rounds == 1 else 's'}"]
    if item.record is not None:
        breakdown = item.record.breakdown
        parts.append("reward absent" if breakdown is None else f"reward {breakdown.total:.2f}")
    return ", ".join(parts)


def write_trace(
    item: TrajectoryRecord,
    messages: list[Message],
    *,
    step: int,
    experiment_id: str,
    run_id: str,
) -> str:
    """Hand a trajectory and its conversation to MLflow's exporter; returns the trace's id."""
    import mlflow
    from mlflow.entities import SpanType
    from mlflow.entities.trace_location import MlflowExperimentLocation

    trajectory = item.trajectory
    inputs, outputs = split_conversation(messages)
    tags = {
        **item.tags,
        "step": str(step),
        "request": trajectory.request.id,
        "task": trajectory.request.task,
        "ending": trajectory.ending,
        "rounds": str(len(trajectory.rounds)),
    }
    if trajectory.error is not None:
        tags["error"] = trajectory.error
    if item.record is not None and item.record.breakdown is not None:
        tags["reward"] = f"{item.record.breakdown.total:.3f}"
    location = MlflowExperimentLocation(experiment_id)
    with (
        _own_randomness(),
        mlflow.start_span(
            trajectory.request.task, span_type=SpanType.AGENT, trace_destination=location
        ) as span,
    ):
        span.set_inputs({"messages": inputs, "hints": list(trajectory.request.hints)})
        span.set_outputs({"choices": [{"message": message} for message in outputs]})
        if item.turns is not None:
            span.set_attribute("turns", list(item.turns))
        mlflow.update_current_trace(
            tags=tags,
            metadata={"mlflow.sourceRun": run_id},
            request_preview=trajectory.request.prompt,
            response_preview=summary_line(item),
        )
        for feedback in feedback_items(item):
            log_feedback(span.trace_id, feedback)
        return span.trace_id


def split_conversation(messages: list[Message]) -> tuple[list[Message], list[Message]]:
    """What was asked, and all that followed. Attempts at one request have the same inputs so, by
    which MLflow matches those of two runs."""
    first = next(
        (index for index, message in enumerate(messages) if message["role"] == "assistant"),
        len(messages),
    )
    return messages[:first], messages[first:] or [{"role": "assistant", "content": ""}]


def _reward_items(record: RewardRecord) -> list[FeedbackItem]:
    breakdown = record.breakdown
    if breakdown is None:
        return [FeedbackItem(name="reward", value=None)]
    return [
        FeedbackItem(name="reward", value=breakdown.total),
        FeedbackItem(name="reward point", value=breakdown.point),
        FeedbackItem(name="reward pair", value=breakdown.pair),
        FeedbackItem(name="reward format", value=breakdown.format),
        *(
            FeedbackItem(name=f"reward {name}", value=value)
            for name, value in breakdown.options.items()
        ),
    ]


def _pair_item(pair: PairRecord) -> FeedbackItem:
    name = f"judge {pair.index + 2} beats {pair.index + 1}"
    metadata = {"swapped": str(pair.swapped).lower()}
    if pair.verdict is None:
        why = "the same picture twice" if pair.win is False else None
        return FeedbackItem(name=name, value=pair.win, rationale=why, metadata=metadata)
    return _verdict_item(name, pair.win, pair.verdict, metadata)


def _verdict_item(
    name: str, value: bool | None, verdict: Verdict, metadata: dict[str, str]
) -> FeedbackItem:
    return FeedbackItem(
        name=name,
        value=value,
        source=verdict.judge,
        by_model=bool(verdict.raw),
        rationale=verdict.reason,
        metadata={**metadata, "choice": verdict.choice},
    )


def log_feedback(trace_id: str, item: FeedbackItem) -> None:
    """Put one judgement on a trace."""
    import mlflow
    from mlflow.entities import AssessmentError, AssessmentSource, AssessmentSourceType

    kind = AssessmentSourceType.LLM_JUDGE if item.by_model else AssessmentSourceType.CODE
    if item.by_person:
        kind = AssessmentSourceType.HUMAN
    absent = AssessmentError(error_code="ABSENT", error_message="no verdict could be had")
    mlflow.log_feedback(
        trace_id=trace_id,
        name=item.name,
        value=item.value,
        source=AssessmentSource(source_type=kind, source_id=item.source),
        error=absent if item.value is None else None,
        rationale=item.rationale,
        metadata=item.metadata,
    )


@contextmanager
def _own_randomness() -> Iterator[None]:
    """Trace ids come from Python's global generator: a seeded run would repeat another's ids."""
    state = random.getstate()
    random.seed()
    try:
        yield
    finally:
        random.setstate(state)
