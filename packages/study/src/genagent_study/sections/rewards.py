"""Rewards side by side: what each makes of the agent, against the first of them."""

from collections.abc import Sequence

from genagent_study.cell import Cell, Made
from genagent_study.over_seeds import over_seeds
from genagent_study.paired import Marks, difference, share
from genagent_study.pattern import Pattern
from genagent_study.plots import draw_points
from genagent_study.result import Answers
from genagent_study.sections.strategies import against, in_percent
from genagent_study.sections.table5 import minus
from genagent_study.sections.withholding import repair
from genagent_study.shown import Plot, Results, Section, Shown, Table, number, percent
from genagent_study.study import Study
from genagent_worlds import conduct, rate

ABOUT = (
    "Trainings that differ in the reward alone, each against the first one on the same requests. "
    "Repair is success on the requests whose own first picture failed, which are other ones, and "
    "harder ones, the better the first pictures are; so it is also compared on those where the "
    "first pictures of both failed. That flatters the reward with the worse first pictures, whose "
    "failures say less about how hard a request is. Repair in three is repair where the agent "
    "may draw three pictures. Agreement is how often the agent, by what it did "
    "next, was right about a picture."
)
RISE = 0.2
"""Of last and of first pictures, that a reward is to be worth."""


def trained(study: Study, name: str, seed: int) -> Cell:
    """RL by one of the rewards."""
    return study.trained(f"rl, {name}", *study.variants[name], seed=seed)


def in_three(study: Study, name: str, seed: int) -> Cell:
    """The trained agent with up to three pictures."""
    policies = (Made(by=trained(study, name, seed)),)
    return study.evaluated(f"rl, {name}, three pictures", policies=policies, rounds=(3,), seed=seed)


def cells(study: Study, seed: int) -> list[Cell]:
    ways = (trained, in_three)
    return [way(study, name, seed) for name in study.variants for way in ways]


def show(study: Study, results: Results, seeds: Sequence[int]) -> Shown:
    def three(name: str, seed: int) -> Answers:
        made = Made(by=trained(study, name, seed))
        asked = {"tool": study.subject.tool, "strategy": "agent", "rounds": 3}
        return results[in_three(study, name, seed)].answers(policy=made, **asked)

    runs = {name: [results[trained(study, name, s)] for s in seeds] for name in study.variants}
    after = {name: [run.after for run in found] for name, found in runs.items()}
    usual, *others = after
    answers = {study.subject.cold_start: [run.before for run in runs[usual]], **after}
    mended = {name: over_seeds(list(map(repair, found))) for name, found in answers.items()}
    further = {name: [three(name, seed) for seed in seeds] for name in study.variants}
    mended_in_three = {name: over_seeds(list(map(repair, ways))) for name, ways in further.items()}
    patterns = []
    for name in others:
        firsts = difference(
            [(a.first, b.first) for a, b in zip(after[usual], after[name], strict=True)]
        )
        patterns += [
            against(after[usual], after[name], f"{name}: better last pictures than {usual}"),
            Pattern(
                claim=f"{name}: better first pictures than {usual}",
                measured=firsts.by_seed,
                pairs=firsts,
            ),
            Pattern(
                claim=f"{name}: more failed first pictures mended than by {usual}",
                measured=minus(mended[name], mended[usual]),
            ),
            Pattern(
                claim=f"{name}: more of them mended than by {usual}, in up to three pictures",
                measured=minus(mended_in_three[name], mended_in_three[usual]),
            ),
        ]
        shared = [both_failed(a, b) for a, b in zip(after[usual], after[name], strict=True)]
        if all(marks for marks, _ in shared):
            repaired = difference(shared)
            patterns.append(
                Pattern(
                    claim=f"{name}: more mended than by {usual}, where both first pictures failed",
                    measured=repaired.by_seed,
                    pairs=repaired,
                )
            )
    return Shown(
        about=ABOUT,
        patterns=patterns,
        plots=[
            Plot(
                title="success by reward",
                png=draw_points(
                    {
                        name: {
                            "the last picture": in_percent(
                                over_seeds([share(a.success) for a in found])
                            ),
                            "the first picture": in_percent(
                                over_seeds([share(a.first) for a in found])
                            ),
                            "repair": in_percent(mended[name]),
                        }
                        for name, found in answers.items()
                    },
                    unit="percent",
                ),
            )
        ],
        tables=[
            Table(
                title=f"with {study.subject.tool}, percent",
                rows=[
                    {
                        "reward": name,
                        "last picture": percent(over_seeds([share(a.success) for a in found])),
                        "first picture": percent(over_seeds([share(a.first) for a in found])),
                        "repair": percent(mended[name]),
                        "repair in three": percent(mended_in_three.get(name)),
                        "last of three": percent(
                            over_seeds([share(a.success) for a in further[name]])
                            if name in further
                            else None
                        ),
                        "over-reflection": percent(over_seeds(list(map(_spoilt, found)))),
                        "agreement": percent(over_seeds(list(map(_agreement, found)))),
                        "pictures": number(over_seeds([a.rounds for a in found])),
                        f"first and last up by {100 * RISE:.0f}": _risen(
                            answers[study.subject.cold_start], found
                        ),
                    }
                    for name, found in answers.items()
                ],
            )
        ],
    )


def both_failed(one: Answers, other: Answers) -> tuple[Marks, Marks]:
    """Success of both on the requests whose first picture failed under both."""
    failed = set(other.failed_first)
    ids = [id for id in one.failed_first if id in failed]
    return {id: one.success[id] for id in ids}, {id: other.success[id] for id in ids}


def _risen(before: Sequence[Answers], after: Sequence[Answers]) -> str:
    """Seeds in which first and last pictures have both risen by ``RISE``. Example: ``4 of 5``"""
    both = [
        # 54 of 270 requests more are .2 less some 1e-17.
        min(share(b.first) - share(a.first), share(b.success) - share(a.success)) > RISE - 1e-9
        for a, b in zip(before, after, strict=True)
    ]
    return f"{sum(both)} of {len(both)} seeds"


def _spoilt(answers: Answers) -> float:
    return conduct(list(answers.outcomes.values())).over_reflection.value


def _agreement(answers: Answers) -> float:
    return rate([said for one in answers.outcomes.values() for said in one.agreements]).value


REWARDS = Section(name="rewards", title="Rewards side by side", cells=cells, show=show)
