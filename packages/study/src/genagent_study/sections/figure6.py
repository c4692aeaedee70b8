"""Figure 6: reward and rounds while the agent learns."""

from collections.abc import Sequence

from genagent_study.cell import Cell
from genagent_study.curve_ends import ends, rise
from genagent_study.over_seeds import over_seeds
from genagent_study.pattern import Pattern
from genagent_study.plots import Panel, draw_curves
from genagent_study.shown import Plot, Results, Section, Shown, Table, number
from genagent_study.study import Study

ABOUT = (
    "Means of each step's attempts, the reward's of those that were judged; a faint line is a "
    "seed's mean of five steps, the strong one the mean of seeds. First and last are a fifth of "
    "the steps each. In the paper the reward rises, and with the pair reward the rounds rise too."
)
FIGURES = {
    "reward": "agent/reward",
    "pictures an attempt": "agent/rounds",
    "success, last picture": "agent/success",
    "success, first picture": "agent/first_success",
}


def cells(study: Study, seed: int) -> list[Cell]:
    return [study.agent(seed)]


def show(study: Study, results: Results, seeds: Sequence[int]) -> Shown:
    figures = [results[study.agent(seed)].figures for seed in seeds]
    known = {
        title: [one[metric] for one in figures]
        for title, metric in FIGURES.items()
        if all(metric in one for one in figures)
    }
    return Shown(
        about=ABOUT,
        patterns=[
            Pattern(
                claim="The reward rises in training",
                measured=over_seeds(list(map(rise, known["reward"]))),
                in_percent=False,
            ),
            Pattern(
                claim="Attempts have more pictures as training goes on",
                measured=over_seeds(list(map(rise, known["pictures an attempt"]))),
                in_percent=False,
            ),
        ],
        plots=[
            Plot(
                title="training",
                png=draw_curves(
                    [Panel(title=title, curves={"rl": curve}) for title, curve in known.items()],
                    across="step",
                ),
            )
        ],
        tables=[
            Table(
                title="means of the first and the last fifth of the steps",
                rows=[
                    {
                        "figure": title,
                        "first": number(ends(curves)[0]),
                        "last": number(ends(curves)[1]),
                        "rise": number(over_seeds(list(map(rise, curves))), sign="+"),
                    }
                    for title, curves in known.items()
                ],
            )
        ],
    )


FIGURE6 = Section(name="figure6", title="Figure 6: training", cells=cells, show=show)
