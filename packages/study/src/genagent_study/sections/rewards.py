"""Rewards side by side: what each makes of the agent, against the first of them."""

from collections.abc import Sequence

from genagent_study.cell import Cell
from genagent_study.over_seeds import in_percent, minus, over_seeds
from genagent_study.paired import Marks, difference, share
from genagent_study.pattern import Pattern, against
from genagent_study.plots import draw_points
from genagent_study.result import Answers
from genagent_study.shown import Plot, Results, Section, Shown, Table, number, percent
from genagent_study.study import Study
from genagent_worlds import conduct, rate

ABOUT = (
    "Trainings that differ in the reward alone, each against the first one on the same requests. "
    "Repair is success on the requests whose own first picture failed, which are other ones, and "
    "harder ones, the better the first pictures are; so it is also compared on those where the "
    "first pictures of both failed. That flatters the reward with the worse first pictures, whose "
    "failures say less about how hard a request is. Agreement is how often the agent, by what it "
    "did next, was right about a picture."
)
RISE = 0.2
"""Of last and of first pictures, that a reward is to be worth."""


def cells(study: Study, seed: int) -> list[Cell]:
    return [
        study.trained(f"rl, {name}", *options, seed=seed)
        for name, options in study.variants.items()
    ]


def show(study: Study, results: Results, seeds: Sequence[int]) -> Shown:
    trained = {seed: dict(zip(study.variants, cells(study, seed), strict=True)) for seed in seeds}
    after = {name: [results[trained[s][name]].after for s in seeds] for name in study.variants}
    usual, *others = after
    answers = {
        study.subject.cold_start: [results[trained[s][usual]].before for s in seeds],
        **after,
    }
    mended = {name: over_seeds([a.repair for a in found]) for name, found in answers.items()}
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
