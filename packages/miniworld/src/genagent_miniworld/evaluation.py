"""How good an agent is, by the exact verifier, with intervals and a paired test."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

from genagent_data import PictureStore, Request, Trajectory
from genagent_miniworld.teacher import judged_good
from genagent_miniworld.verifier import Verifier
from genagent_policy import Policy
from genagent_rollout import RolloutEngine, SamplingConfig, derive_seed, run_agents
from genagent_tools import ImageTool


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """One attempt, and the truth about its pictures."""

    trajectory: Trajectory
    passed: tuple[bool, ...]
    """Whether each picture meets the request, in order."""

    @property
    def request(self) -> Request:
        return self.trajectory.request

    @property
    def success(self) -> bool:
        """By the last picture; without a picture there is none."""
        return bool(self.passed) and self.passed[-1]

    @property
    def first_success(self) -> bool:
        return bool(self.passed) and self.passed[0]

    @property
    def agreements(self) -> list[bool]:
        """For each picture the agent gave a verdict on: whether it was the verifier's."""
        verdicts = [judged_good(round.judgement or "") for round in self.trajectory.rounds]
        return [
            verdict == passed
            for verdict, passed in zip(verdicts, self.passed, strict=False)
            if verdict is not None
        ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """A share with its Wilson 95 % interval (Wilson 1927).

    Example: ``str(Rate(hits=30, trials=40)) == "75.0 % [59.8, 85.8]"``
    """

    hits: int
    trials: int

    @property
    def value(self) -> float:
        return self.hits / self.trials if self.trials else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        if not self.trials:
            return 0.0, 1.0
        z, n, p = 1.959964, self.trials, self.value
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, centre - half), min(1.0, centre + half)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{100 * self.value:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def rate(values: Sequence[bool]) -> Rate:
    return Rate(hits=sum(values), trials=len(values))


def judge_outcomes(trajectories: Iterable[Trajectory], store: PictureStore) -> list[Outcome]:
    """Ask the verifier about every picture."""
    verifier = Verifier()
    return [
        Outcome(
            trajectory=trajectory,
            passed=tuple(
                verifier.passed(trajectory.request.hints, store.get(name))
                for name in trajectory.images
            ),
        )
        for trajectory in trajectories
    ]


def evaluate(
    policy: Policy,
    tool: ImageTool,
    requests: Sequence[Request],
    *,
    seed: int,
    max_rounds: int,
    store: PictureStore,
    max_batch: int = 256,
) -> list[Outcome]:
    """Let the policy answer each request once, sampling at temperature 1.

    The seeds of rollouts follow from ``seed`` and the request's id, so that two policies meet the
    same noise.
    """
    engine = RolloutEngine(policy, SamplingConfig(max_batch=max_batch))
    seeds = [derive_seed(seed, "evaluation", request.id) for request in requests]
    batch = run_agents(engine, tool, requests, seeds=seeds, max_rounds=max_rounds, store=store)
    return judge_outcomes((rollout.trajectory for rollout in batch.rollouts), store)


def summarize(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Mean figures of an evaluation, by metric name."""
    n = len(outcomes)
    rounds = [len(outcome.passed) for outcome in outcomes]
    agreements = [agreed for outcome in outcomes for agreed in outcome.agreements]
    errors = sum(outcome.trajectory.ending == "format_error" for outcome in outcomes)
    return {
        "success": sum(outcome.success for outcome in outcomes) / n,
        "first_success": sum(outcome.first_success for outcome in outcomes) / n,
        "rounds": sum(rounds) / n,
        "format_errors": errors / n,
        "judgement_agreement": sum(agreements) / len(agreements) if agreements else 0.0,
    }


def paired_p_value(before: Sequence[Outcome], after: Sequence[Outcome]) -> float:
    """Exact McNemar test, two-sided: how likely so uneven a change of single outcomes is by chance.

    Raises:
        ValueError: the two are not the same requests in the same order.
    """
    if [o.request.id for o in before] != [o.request.id for o in after]:
        raise ValueError("a paired test wants the same requests in the same order")
    from scipy.stats import binomtest

    pairs = list(zip(before, after, strict=True))
    won = sum(b.success < a.success for b, a in pairs)
    lost = sum(b.success > a.success for b, a in pairs)
    return float(binomtest(won, won + lost).pvalue) if won + lost else 1.0
