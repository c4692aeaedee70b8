"""Figure 5: more rounds at test time."""

from collections.abc import Sequence

from genagent_study.cell import Cell, Made
from genagent_study.over_seeds import in_percent, over_seeds
from genagent_study.paired import share
from genagent_study.pattern import against
from genagent_study.plots import draw_points
from genagent_study.result import Answers
from genagent_study.shown import Plot, Results, Section, Shown, Table, number, percent
from genagent_study.study import Study

ABOUT = (
    "The same agent, allowed one, two and three pictures a request; it was trained with three. The "
    "paper reports consistent improvement with rounds."
)
ROUNDS = (1, 2, 3)


def by_rounds(study: Study, seed: int) -> Cell:
    """The trained agent with other rounds than its own evaluation has."""
    policies = (Made(by=study.agent(seed)),)
    return study.evaluated("rl by rounds", policies=policies, rounds=(1, 3), seed=seed)


def cells(study: Study, seed: int) -> list[Cell]:
    return [study.agent(seed), by_rounds(study, seed)]


def show(study: Study, results: Results, seeds: Sequence[int]) -> Shown:
    def answers(rounds: int, seed: int) -> Answers:
        agent = study.agent(seed)
        if rounds == 2:
            return results[agent].after
        asked = {"tool": study.subject.tool, "strategy": "agent", "rounds": rounds}
        return results[by_rounds(study, seed)].answers(policy=Made(by=agent), **asked)

    found = {rounds: [answers(rounds, seed) for seed in seeds] for rounds in ROUNDS}
    rates = {n: over_seeds([share(a.success) for a in ways]) for n, ways in found.items()}
    return Shown(
        about=ABOUT,
        patterns=[
            against(found[1], found[2], "Two rounds beat one"),
            against(found[2], found[3], "Three rounds beat two"),
        ],
        plots=[
            Plot(
                title="success by rounds",
                png=draw_points(
                    {_title(n): {"success": in_percent(known)} for n, known in rates.items()},
                    unit="success, %",
                ),
            )
        ],
        tables=[
            Table(
                title="success, percent",
                rows=[
                    {
                        "at most": _title(n),
                        "success": percent(rates[n]),
                        "pictures drawn": number(over_seeds([a.rounds for a in found[n]])),
                    }
                    for n in ROUNDS
                ],
            )
        ],
    )


def _title(rounds: int) -> str:
    return f"{rounds} picture{'s' if rounds > 1 else ''}"


FIGURE5 = Section(name="figure5", title="Figure 5: rounds", cells=cells, show=show)
