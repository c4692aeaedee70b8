"""How trajectories ended, counted."""

from genagent_data import Ending, Request, Trajectory
from genagent_rollout import ending_metrics


def ended(ending: Ending, error: str | None = None) -> Trajectory:
    request = Request(id="1", prompt="two red circles", task="count")
    return Trajectory(
        request=request,
        rounds=(),
        answer="done" if ending == "answer" else None,
        ending=ending,
        error=error,
    )


def test_endings_are_shares_and_errors_are_counts_by_name():
    trajectories = [
        ended("answer"),
        ended("answer"),
        ended("out_of_rounds"),
        ended("format_error", "no_action"),
        ended("format_error", "no_action"),
        ended("format_error", "invalid_json"),
        ended("tool_failure", "no memory"),
        ended("out_of_rounds"),
    ]
    assert ending_metrics(trajectories) == {
        "rollout/answer": 0.25,
        "rollout/out_of_rounds": 0.25,
        "format_error/invalid_json": 1.0,
        "format_error/no_action": 2.0,
    }
