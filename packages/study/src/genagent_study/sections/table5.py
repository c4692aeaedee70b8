"""Table 5: what training and its pair reward are worth, with the gain by reflection."""

from collections.abc import Sequence

from genagent_study import paper
from genagent_study.cell import Cell
from genagent_study.option_words import without
from genagent_study.over_seeds import in_percent, minus, over_seeds
from genagent_study.paired import difference, share
from genagent_study.pattern import Pattern, against
from genagent_study.plots import draw_points
from genagent_study.shown import Plot, Results, Section, Shown, Table, number, percent, points
from genagent_study.study import Study

ABOUT = (
    "Success by the last picture, by the first, and what lies between: the gain by reflection. At "
    "most two pictures. Without the pair reward and with it, everything else and the seeds are the "
    "same."
)


def without_pairs(study: Study, seed: int) -> Cell:
    """RL by the same reward without its pairs."""
    pairs = ("--reward.single-round", "--reward.anchored", "--reward.credit")
    options = (*without(study.reward, *pairs), "--reward.single-round", "none")
    return study.trained("rl without the pair reward", *options, seed=seed)


def cells(study: Study, seed: int) -> list[Cell]:
    return [study.base(seed), study.agent(seed), without_pairs(study, seed)]


def show(study: Study, results: Results, seeds: Sequence[int]) -> Shown:
    subject = study.subject
    asked = {"tool": subject.tool, "strategy": "agent", "rounds": 2, "policy": subject.base}
    without, trained = "rl without the pair reward", "rl"
    found = {
        subject.base: [results[study.base(s)].answers(**asked) for s in seeds],
        subject.cold_start: [results[study.agent(s)].before for s in seeds],
        without: [results[without_pairs(study, s)].after for s in seeds],
        trained: [results[study.agent(s)].after for s in seeds],
    }
    last = {name: over_seeds([share(a.success) for a in ways]) for name, ways in found.items()}
    first = {name: over_seeds([share(a.first) for a in ways]) for name, ways in found.items()}
    gains = {name: over_seeds([a.gain for a in ways]) for name, ways in found.items()}
    pictures = {name: over_seeds([a.rounds for a in ways]) for name, ways in found.items()}
    firsts = difference(
        [(b.first, a.first) for a, b in zip(found[without], found[trained], strict=True)]
    )
    return Shown(
        about=ABOUT,
        patterns=[
            against(found[subject.base], found[subject.cold_start], "The cold start helps"),
            against(found[subject.cold_start], found[trained], "RL adds to the cold start"),
            against(
                found[without],
                found[trained],
                "The pair reward makes the last picture better",
                ".561 and .543 on GenEval++, 6.825 and 6.814 on Imagine",
            ),
            Pattern(
                claim="With the pair reward, reflection gains more",
                measured=minus(gains[trained], gains[without]),
                paper="+.079 and +.068 on GenEval++, +.417 and +.168 on Imagine",
            ),
            Pattern(
                claim="With the pair reward, the first picture is worse",
                measured=firsts.by_seed,
                pairs=firsts,
                paper="6.408 and 6.646 on Imagine, .482 and .475 on GenEval++",
            ),
        ],
        plots=[
            Plot(
                title="success by training",
                png=draw_points(
                    {
                        name: {
                            "the last picture": in_percent(last[name]),
                            "the first picture": in_percent(first[name]),
                        }
                        for name in found
                    },
                    unit="success, %",
                ),
            )
        ],
        tables=[
            Table(
                title=f"success with {subject.tool}, percent; gain by reflection, points",
                rows=[
                    {
                        "policy": name,
                        "last picture": percent(last[name]),
                        "first picture": percent(first[name]),
                        "gain by reflection": points(gains[name]),
                        "pictures": number(pictures[name]),
                    }
                    for name in found
                ],
            ),
            Table(
                title="the paper's Table 5, rows known here: final score (gain by reflection)",
                rows=paper.BY_TRAINING,
            ),
            Table(
                title="the paper's first pictures: final score minus gain",
                rows=paper.FIRST_PICTURES,
            ),
        ],
    )


TABLE5 = Section(
    name="table5", title="Table 5: training and the pair reward", cells=cells, show=show
)
