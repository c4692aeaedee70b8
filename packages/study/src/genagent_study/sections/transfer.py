"""Transfer: trained with each tool, and evaluated with all of them."""

from collections.abc import Sequence

from genagent_study.cell import Cell, Made
from genagent_study.over_seeds import over_seeds
from genagent_study.paired import share
from genagent_study.result import Answers
from genagent_study.sections.strategies import against
from genagent_study.shown import Results, Section, Shown, Table, percent
from genagent_study.study import Study

ABOUT = (
    "Rows are what the agent learnt with by RL, columns what it draws with afterwards: on the "
    "diagonal the tool that it knows, elsewhere one that RL never used. All begin with the same "
    "cold start"
)


def trained(study: Study, tool: str, seed: int) -> Cell:
    """RL with one tool."""
    if tool == study.subject.tool:
        return study.agent(seed)
    return study.trained(f"rl with {tool}", *study.reward, seed=seed, tool=tool)


def elsewhere(study: Study, tool: str | None, seed: int) -> Cell:
    """The agent that learnt with ``tool``, with the others; None: the cold start, with all that RL
    does not measure it with."""
    subject = study.subject
    others = tuple(one for one in subject.tools if one != tool)
    if tool is None:
        return study.evaluated("cold start with all tools", tools=subject.tools, seed=seed)
    policies = (Made(by=trained(study, tool, seed)),)
    return study.evaluated(
        f"rl with {tool}, other tools", policies=policies, tools=others, seed=seed
    )


def cells(study: Study, seed: int) -> list[Cell]:
    tools = study.subject.tools
    return [
        elsewhere(study, None, seed),
        *(trained(study, tool, seed) for tool in tools),
        *(elsewhere(study, tool, seed) for tool in tools),
    ]


def show(study: Study, results: Results, seeds: Sequence[int]) -> Shown:
    tools, usual = study.subject.tools, study.subject.tool

    def found(learnt: str | None, drawing: str) -> list[Answers]:
        return [_answers(study, results, learnt, drawing, seed) for seed in seeds]

    start = f"{study.subject.cold_start}, no rl"
    table = {(learnt, drawing): found(learnt, drawing) for learnt in tools for drawing in tools}
    none = {drawing: found(None, drawing) for drawing in tools}
    new = [tool for tool in tools if tool != usual]
    return Shown(
        about=f"{ABOUT}, whose trajectories were made with {made_with}."
        if (made_with := study.subject.cold_start_tool)
        else f"{ABOUT}.",
        patterns=[
            *(
                against(
                    none[tool], table[usual, tool], f"Learning with {usual} helps with {tool} too"
                )
                for tool in new
            ),
            *(
                against(
                    table[usual, tool],
                    table[tool, tool],
                    f"With {tool}, learning with it is better than learning with {usual}",
                )
                for tool in new
            ),
        ],
        tables=[
            Table(
                title=f"success {which}, percent",
                rows=[
                    {"learnt with": start} | {tool: _shown(none[tool], which) for tool in tools},
                    *(
                        {"learnt with": learnt}
                        | {tool: _shown(table[learnt, tool], which) for tool in tools}
                        for learnt in tools
                    ),
                ],
            )
            for which in ("by the last picture", "by the first picture")
        ],
    )


def _answers(
    study: Study, results: Results, learnt: str | None, drawing: str, seed: int
) -> Answers:
    if learnt == drawing:
        return results[trained(study, drawing, seed)].after
    policy = study.subject.cold_start if learnt is None else Made(by=trained(study, learnt, seed))
    return results[elsewhere(study, learnt, seed)].answers(
        tool=drawing, strategy="agent", rounds=2, policy=policy
    )


def _shown(answers: Sequence[Answers], which: str) -> str:
    marks = [one.first if "first" in which else one.success for one in answers]
    return percent(over_seeds(list(map(share, marks))))


TRANSFER = Section(name="transfer", title="Transfer: learnt with one tool", cells=cells, show=show)
