"""Transfer: trained with each tool, and evaluated with all of them."""

from collections.abc import Mapping, Sequence
from itertools import permutations

from genagent_study.cell import Cell, Made
from genagent_study.dropped_words import lost_word, share_with
from genagent_study.over_seeds import OverSeeds, in_percent, over_seeds
from genagent_study.paired import share
from genagent_study.pattern import against
from genagent_study.plots import draw_points
from genagent_study.result import Answers
from genagent_study.shown import Plot, Results, Section, Shown, Table, percent
from genagent_study.study import Study
from genagent_worlds import Outcome

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
    tools = study.subject.tools

    def found(learnt: str | None, drawing: str) -> list[Answers]:
        return [_answers(study, results, learnt, drawing, seed) for seed in seeds]

    start = f"{study.subject.cold_start}, no rl"
    table = {(learnt, drawing): found(learnt, drawing) for learnt in tools for drawing in tools}
    none = {drawing: found(None, drawing) for drawing in tools}
    return Shown(
        about=f"{ABOUT}, whose trajectories were made with {made_with}."
        if (made_with := study.subject.cold_start_tool)
        else f"{ABOUT}.",
        patterns=[
            *(
                against(
                    none[tool], table[learnt, tool], f"Learning with {learnt} helps with {tool} too"
                )
                for learnt, tool in permutations(tools, 2)
            ),
            *(
                against(
                    table[learnt, tool],
                    table[tool, tool],
                    f"With {tool}, learning with it is better than learning with {learnt}",
                )
                for learnt, tool in permutations(tools, 2)
            ),
        ],
        plots=[
            Plot(
                title="success by what was learnt with, and what draws",
                png=draw_points(
                    {
                        f"{tool} draws": {
                            start: in_percent(_by_seed(none[tool])),
                            **{
                                f"learnt with {learnt}": in_percent(_by_seed(table[learnt, tool]))
                                for learnt in tools
                            },
                        }
                        for tool in tools
                    },
                    unit="success, %",
                ),
            )
        ],
        tables=[
            *(
                Table(
                    title=f"success {which}, percent",
                    rows=[
                        {"learnt with": start}
                        | {tool: _shown(none[tool], which) for tool in tools},
                        *(
                            {"learnt with": learnt}
                            | {tool: _shown(table[learnt, tool], which) for tool in tools}
                            for learnt in tools
                        ),
                    ],
                )
                for which in ("by the last picture", "by the first picture")
            ),
            *_by_training(none, table, seeds),
        ],
    )


def _by_training(
    none: Mapping[str, Sequence[Answers]],
    table: Mapping[tuple[str, str], Sequence[Answers]],
    seeds: Sequence[int],
) -> list[Table]:
    """What each training has made of the cold start's words, beside what it is worth with each
    tool: what one tool does not mind need not be unlearnt with it."""
    tools = tuple(none)

    def said(found: Sequence[Answers]) -> list[Outcome]:
        return [one for answers in found for one in answers.outcomes.values()]

    word = lost_word(said(none[tools[0]]), said([a for t in tools for a in table[t, t]]))
    if word is None:
        return []
    has = f'"{word}", %'
    return [
        Table(
            title=f"each training: success by the last picture, percent, and first prompts that "
            f'still have "{word}", of all words the one that trainings make rarest',
            rows=[
                {"learnt with": learnt, "seed": str(seed)}
                | {has: share_with(word, said([table[learnt, learnt][place]])).short}
                | {tool: f"{100 * share(table[learnt, tool][place].success):.1f}" for tool in tools}
                for learnt in tools
                for place, seed in enumerate(seeds)
            ],
        )
    ]


def _answers(
    study: Study, results: Results, learnt: str | None, drawing: str, seed: int
) -> Answers:
    if learnt == drawing:
        return results[trained(study, drawing, seed)].after
    policy = study.subject.cold_start if learnt is None else Made(by=trained(study, learnt, seed))
    return results[elsewhere(study, learnt, seed)].answers(
        tool=drawing, strategy="agent", rounds=2, policy=policy
    )


def _by_seed(answers: Sequence[Answers]) -> OverSeeds:
    return over_seeds([share(one.success) for one in answers])


def _shown(answers: Sequence[Answers], which: str) -> str:
    if "first" in which:
        return percent(over_seeds([share(one.first) for one in answers]))
    return percent(_by_seed(answers))


TRANSFER = Section(name="transfer", title="Transfer: learnt with one tool", cells=cells, show=show)
