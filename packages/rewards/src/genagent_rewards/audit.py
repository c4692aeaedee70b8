"""How far a judge is from the truth, where the truth is known: reward hacking made visible.

The agent is paid by the judge. Where what it is paid for parts from what is so, ``false_accept``
rises while ``true_success`` stands still.
"""

from collections.abc import Sequence

from genagent_rewards.reward_record import ANCHOR, RewardRecord


def reward_metrics(records: Sequence[RewardRecord]) -> dict[str, float]:
    """Mean reward (``agent/reward``) and its parts over the rewards that are there, none where none
    is, and how many are absent; what options add, where they are on.

    ``reward/late`` is the mean over the trajectories that have a pair, with credit by turn;
    ``reward/anchor_beaten`` the share of first pictures that beat their anchor.

    ``judge/first_shown_wins`` is the share of decided comparisons in which the judge preferred the
    picture that it was shown first: one half where its place decides nothing, for a coin says which
    that is.
    """
    rewards = [record.breakdown for record in records if record.breakdown is not None]
    names = {"total": "agent/reward"}
    names |= {part: f"reward/{part}" for part in ("point", "pair", "format")}
    means = {
        name: _mean([getattr(reward, part) for reward in rewards])
        for part, name in names.items()
        if rewards
    }
    added: dict[str, list[float]] = {}
    for reward in rewards:
        late = {} if reward.late is None else {"late": reward.late}
        for name, value in {**reward.options, **late}.items():
            added.setdefault(f"reward/{name}", []).append(value)
    for record in records:
        beaten = [pair.win for pair in record.pair_verdicts if pair.index == ANCHOR]
        if beaten and None not in beaten:
            added.setdefault("reward/anchor_beaten", []).append(float(all(beaten)))
        for pair in record.pair_verdicts:
            if pair.verdict is not None and pair.verdict.choice != "tie":
                first = float(pair.verdict.choice == "first")
                added.setdefault("judge/first_shown_wins", []).append(first)
    means |= {name: _mean(values) for name, values in added.items()}
    return {**means, "reward/absent": float(len(records) - len(rewards))}


def audit_metrics(judged: Sequence[RewardRecord], true: Sequence[RewardRecord]) -> dict[str, float]:
    """A judge's rewards against those of an exact one, over the same cases in the same order.

    - ``audit/judged_success``, ``audit/true_success``: pictures passed by each;
    - ``audit/false_accept``: of pictures that truly fail, the share that the judge passed;
    - ``audit/false_reject``: of pictures that are truly good, the share that it failed;
    - ``audit/false_win``: of pairs without a true win, the share that it called one;
    - ``audit/missed_win``: of true wins, the share that it did not call;
    - ``audit/reward_gap``: mean reward paid beyond the true one.

    A share of nothing is left out. Absent verdicts and rewards do not count.

    Raises:
        ValueError: not as many of one as of the other.
    """
    if len(judged) != len(true):
        raise ValueError(f"{len(judged)} judged and {len(true)} true records; want the same cases")
    points = [
        (said.point_verdict.choice == "yes", so.point_verdict.choice == "yes")
        for said, so in zip(judged, true, strict=True)
        if said.point_verdict is not None and so.point_verdict is not None
    ]
    wins = [
        (mine.win, exact.win)
        for said, so in zip(judged, true, strict=True)
        for mine, exact in zip(said.pair_verdicts, so.pair_verdicts, strict=True)
        if mine.verdict is not None and exact.verdict is not None
    ]
    gaps = [
        said.breakdown.total - so.breakdown.total
        for said, so in zip(judged, true, strict=True)
        if said.breakdown is not None and so.breakdown is not None
    ]
    shares = {
        "judged_success": [said for said, _ in points],
        "true_success": [so for _, so in points],
        "false_accept": [said for said, so in points if not so],
        "false_reject": [not said for said, so in points if so],
        "false_win": [said for said, so in wins if not so],
        "missed_win": [not said for said, so in wins if so],
        "reward_gap": gaps,
    }
    return {f"audit/{name}": _mean(values) for name, values in shares.items() if values}


def _mean(values: Sequence[float | bool | None]) -> float:
    return sum(float(value or 0) for value in values) / max(len(values), 1)
