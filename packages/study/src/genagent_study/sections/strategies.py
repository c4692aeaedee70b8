"""Tables 2 and 3: the agent beside other ways to pictures of the tool that it was trained with."""

from collections.abc import Sequence

from genagent_study import paper
from genagent_study.cell import Cell
from genagent_study.over_seeds import OverSeeds, in_percent, over_seeds
from genagent_study.paired import share
from genagent_study.pattern import Pattern, against
from genagent_study.plots import draw_points
from genagent_study.shown import Plot, Results, Section, Shown, Table, number, percent
from genagent_study.study import Study

ABOUT = (
    "The same requests and the same seeds for all. Rewriter, verifier and writer are the world's "
    "stand-in for a strong frozen model; of two pictures of best-of the world's judge chooses. "
    "The agents draw at most two pictures."
)
REWRITE, WORKFLOW, BEST = "rewrite, without looking", "static workflow, 2 rounds", "best of 2"
PLAIN = "plain: the request's own words"


def others(study: Study, seed: int) -> Cell:
    """What else gives out pictures of the trained tool."""
    strategies = ("rewrite", "workflow", "best-of")
    return study.evaluated("other strategies", strategies=strategies, seed=seed)


def cells(study: Study, seed: int) -> list[Cell]:
    return [study.plain(seed), others(study, seed), study.agent(seed)]


def show(study: Study, results: Results, seeds: Sequence[int]) -> Shown:
    tool = study.subject.tool
    ways = {
        PLAIN: [
            results[study.plain(s)].answers(tool=tool, strategy="plain", rounds=1) for s in seeds
        ],
        **{
            name: [
                results[others(study, s)].answers(tool=tool, strategy=strategy, rounds=rounds)
                for s in seeds
            ]
            for name, strategy, rounds in (
                (REWRITE, "rewrite", 1),
                (BEST, "best-of", 2),
                (WORKFLOW, "workflow", 2),
            )
        },
        f"the agent, {study.subject.cold_start}": [results[study.agent(s)].before for s in seeds],
        "the agent, rl": [results[study.agent(s)].after for s in seeds],
    }
    last = {name: over_seeds([share(a.success) for a in found]) for name, found in ways.items()}
    first = {name: over_seeds([share(a.first) for a in found]) for name, found in ways.items()}
    pictures = {name: over_seeds([a.rounds for a in found]) for name, found in ways.items()}

    def beats(name: str, claim: str, known: str = "") -> Pattern:
        return against(ways[name], ways["the agent, rl"], claim, known)

    return Shown(
        about=ABOUT,
        patterns=[
            beats(PLAIN, "The agent beats the tool alone", ".561 and .325 on GenEval++"),
            beats(REWRITE, "The agent beats a rewrite that never looks"),
            beats(BEST, "The agent beats the better one of two pictures"),
            beats(WORKFLOW, "The agent beats a static workflow of as many rounds"),
        ],
        plots=[Plot(title="success by strategy", png=_drawn(last, first, pictures))],
        tables=[
            Table(
                title=f"success with {tool}, percent",
                rows=[
                    {
                        "strategy": name,
                        "success": percent(last[name]),
                        "first picture": percent(first[name]),
                        "pictures": number(pictures[name]),
                    }
                    for name in ways
                ],
            ),
            Table(title="the paper's Tables 2 to 4, rows known here", rows=paper.BY_STRATEGY),
        ],
    )


def _drawn(
    last: dict[str, OverSeeds], first: dict[str, OverSeeds], pictures: dict[str, OverSeeds]
) -> bytes:
    rows = {
        name: {"the picture that counts": in_percent(last[name])}
        | ({"the first picture": in_percent(first[name])} if pictures[name].value > 1 else {})
        for name in last
    }
    return draw_points(rows, unit="success, %")


STRATEGIES = Section(name="strategies", title="Tables 2 and 3: strategies", cells=cells, show=show)
