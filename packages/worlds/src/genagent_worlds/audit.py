"""The judge held against the truth where that is known; the alarm for withheld pictures."""

from collections.abc import Sequence
from dataclasses import replace

from genagent_rewards import (
    PointQuestion,
    RewardCase,
    RewardConfig,
    RewardRecord,
    audit_metrics,
)
from genagent_rewards.verdict import why_absent
from genagent_worlds.outcomes import Outcome, PictureWord
from genagent_worlds.rates import rate
from genagent_worlds.rewards import open_reward
from genagent_worlds.world import World


def with_judge(world: World, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The same with what the judge says of the last pictures, of attempts that the tool did not
    fail; without a truth, success is the judge's already and nobody is asked."""
    if world.truth is None:
        return list(outcomes)
    asked = {
        place: PointQuestion(
            request=outcome.request.prompt,
            hints=outcome.request.hints,
            picture=outcome.trajectory.pictures[-1],
        )
        for place, outcome in enumerate(outcomes)
        if outcome.passed and not outcome.service_failed
    }
    judge = world.judges.point
    verdicts = judge.judge(list(asked.values())) if asked else []
    words = {
        place: PictureWord(passed=None, reason=why_absent(judge, question))
        if verdict is None
        else PictureWord(passed=verdict.choice == "yes", reason=verdict.reason)
        for (place, question), verdict in zip(asked.items(), verdicts, strict=True)
    }
    return [replace(one, judged=words.get(place)) for place, one in enumerate(outcomes)]


def audit_outcomes(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """The judge's success beside the true one on the last pictures of an evaluation:
    ``judged_success``, ``false_accept``, ``false_reject``, as ``audit_metrics`` has them. Nothing
    where the judge was not asked."""
    pairs = [
        (one.judged.passed, one.success)
        for one in outcomes
        if one.judged is not None and one.judged.passed is not None
    ]
    shares = {
        "judged_success": rate([said for said, _ in pairs]),
        "false_accept": rate([said for said, so in pairs if so is False]),
        "false_reject": rate([not said for said, so in pairs if so]),
    }
    return {name: share.value for name, share in shares.items() if share.trials}


def audit_rewards(
    world: World,
    cases: Sequence[RewardCase],
    records: Sequence[RewardRecord],
    config: RewardConfig,
    *,
    seed: int,
) -> dict[str, float]:
    """A step's rewards beside the true ones (``audit/*``, where the truth is known), and who earned
    the pair reward (``reward/pair_after_*``).

    Args:
        seed: as it was given to ``Reward.score``, so that pairs have the same order.
    """
    metrics = pair_by_first_picture(world, cases, records)
    if world.truth is not None:
        exact = open_reward(world.truth, config)
        metrics |= audit_metrics(records, exact.score(cases, seed=seed))
    return metrics


def pair_by_first_picture(
    world: World, cases: Sequence[RewardCase], records: Sequence[RewardRecord]
) -> dict[str, float]:
    """The pair reward of two pictures and more, by whether the first picture had passed already.

    ``reward/pair_after_failed_first`` and ``reward/pair_after_passed_first``, as means over all
    rewards that are there, before lambda like ``reward/pair``. A bonus that goes to failed first
    pictures and rises while first pictures get worse is being farmed: the agent withholds what it
    can do. Asks the truth, or else the judge, about the first pictures that earned a bonus.
    """
    present = [
        (case, record.breakdown)
        for case, record in zip(cases, records, strict=True)
        if record.breakdown is not None
    ]
    earners = [(c, b) for c, b in present if len(c.pictures) > 1 and b.pair > 0]
    questions = [
        PointQuestion(request=case.request, hints=case.hints, picture=case.pictures[0])
        for case, _ in earners
    ]
    judge = (world.truth or world.judges).point
    verdicts = judge.judge(questions) if questions else []
    paid = {"yes": 0.0, "no": 0.0}
    for (_, breakdown), verdict in zip(earners, verdicts, strict=True):
        if verdict is not None:
            paid[verdict.choice] += breakdown.pair
    return {
        f"reward/pair_after_{name}_first": paid[choice] / len(present)
        for choice, name in (("no", "failed"), ("yes", "passed"))
        if present
    }
