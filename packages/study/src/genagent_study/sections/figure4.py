"""Figure 4: the agent, trained by RL with one tool, with tools that RL never used."""

from collections.abc import Sequence

from genagent_study import paper
from genagent_study.cell import Cell, Made
from genagent_study.over_seeds import in_percent, minus, over_seeds
from genagent_study.paired import share
from genagent_study.pattern import against
from genagent_study.plots import draw_points
from genagent_study.result import Answers
from genagent_study.shown import Plot, Results, Section, Shown, Table, percent, points
from genagent_study.study import Study

ABOUT = (
    "Each tool alone on the request's own words, and under the agent, which was trained with the "
    "first of them only. At most two pictures."
)


def elsewhere(study: Study, seed: int) -> Cell:
    """The trained agent with the other tools."""
    return study.evaluated(
        "rl with other tools",
        policies=(Made(by=study.agent(seed)),),
        tools=study.subject.other_tools,
        seed=seed,
    )


def cells(study: Study, seed: int) -> list[Cell]:
    new = [elsewhere(study, seed)] if study.subject.other_tools else []
    return [study.plain(seed), study.agent(seed), *new]


def show(study: Study, results: Results, seeds: Sequence[int]) -> Shown:
    subject = study.subject

    def agents(tool: str, seed: int) -> Answers:
        agent = study.agent(seed)
        if tool == subject.tool:
            return results[agent].after
        asked = {"tool": tool, "strategy": "agent", "rounds": 2}
        return results[elsewhere(study, seed)].answers(policy=Made(by=agent), **asked)

    alone = {
        tool: [
            results[study.plain(s)].answers(tool=tool, strategy="plain", rounds=1) for s in seeds
        ]
        for tool in subject.tools
    }
    acting = {tool: [agents(tool, seed) for seed in seeds] for tool in subject.tools}
    rates = {
        tool: {
            "the tool alone": over_seeds([share(a.success) for a in alone[tool]]),
            "the agent's first picture": over_seeds([share(a.first) for a in acting[tool]]),
            "the agent": over_seeds([share(a.success) for a in acting[tool]]),
        }
        for tool in subject.tools
    }
    return Shown(
        about=ABOUT,
        patterns=[
            against(
                alone[tool],
                acting[tool],
                f"The agent beats {tool} alone"
                + ("" if tool == subject.tool else ", with which it did not learn"),
                ".561 and .325 on GenEval++" if tool == subject.tool else "",
            )
            for tool in subject.tools
        ],
        plots=[
            Plot(
                title="success by tool",
                png=draw_points(
                    {
                        tool: {name: in_percent(known) for name, known in rates[tool].items()}
                        for tool in subject.tools
                    },
                    unit="success, %",
                ),
            )
        ],
        tables=[
            Table(
                title="success, percent; over the tool alone, points",
                rows=[
                    {"tool": tool}
                    | {name: percent(known) for name, known in rates[tool].items()}
                    | {
                        "over the tool alone": points(
                            minus(rates[tool]["the agent"], rates[tool]["the tool alone"])
                        )
                    }
                    for tool in subject.tools
                ],
            ),
            Table(title="the paper's, as far as known here", rows=paper.BY_TOOL),
        ],
    )


FIGURE4 = Section(name="figure4", title="Figure 4: other tools", cells=cells, show=show)
