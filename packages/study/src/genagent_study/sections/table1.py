"""Table 1: how an agent goes about it before and after it has learnt to."""

from collections.abc import Sequence

from genagent_study.cell import Cell
from genagent_study.over_seeds import OverSeeds, over_seeds
from genagent_study.pattern import Pattern
from genagent_study.shown import Results, Section, Shown, Table, number, percent, points
from genagent_study.study import Study
from genagent_worlds import Conduct, conduct

ABOUT = (
    "What the paper's Table 1 looks at: turns that break the protocol, prompts that only repeat "
    "the request (within five words of it), and what looking and reflecting gains. The base model "
    "here was made to copy requests, so it begins further from the agent than the paper's models."
)


def cells(study: Study, seed: int) -> list[Cell]:
    return [study.base(seed), study.agent(seed)]


def show(study: Study, results: Results, seeds: Sequence[int]) -> Shown:
    subject = study.subject
    asked = {"tool": subject.tool, "strategy": "agent", "rounds": 2, "policy": subject.base}
    found = {
        subject.base: [results[study.base(seed)].answers(**asked) for seed in seeds],
        subject.cold_start: [results[study.agent(seed)].before for seed in seeds],
        "rl": [results[study.agent(seed)].after for seed in seeds],
    }
    conducts = {
        name: [conduct(list(one.outcomes.values())) for one in answers]
        for name, answers in found.items()
    }
    pictures = {name: over_seeds([a.rounds for a in answers]) for name, answers in found.items()}
    before, after = conducts[subject.base], conducts[subject.cold_start]

    def fall(name: str) -> OverSeeds:
        pairs = zip(_values(before, name).values, _values(after, name).values, strict=True)
        return over_seeds([one - other for one, other in pairs])

    def rise(name: str) -> OverSeeds:
        return over_seeds([-one for one in fall(name).values])

    return Shown(
        about=ABOUT,
        patterns=[
            Pattern(
                claim="The cold start makes turns that break the protocol rarer",
                measured=fall("broken_turns"),
            ),
            Pattern(
                claim="The cold start makes prompts that repeat the request rarer",
                measured=fall("first_prompt_near"),
            ),
            Pattern(
                claim="Looking and reflecting gains more after the cold start than before",
                measured=rise("reflection_gain"),
            ),
        ],
        tables=[
            Table(
                title="percent, over-reflection of attempts that had a right picture",
                rows=[
                    {
                        "policy": name,
                        "broken turns": percent(_values(known, "broken_turns")),
                        "first prompt repeats": percent(_values(known, "first_prompt_near")),
                        "gain by reflection, points": points(_values(known, "reflection_gain")),
                        "over-reflection": percent(_values(known, "over_reflection")),
                        "pictures": number(pictures[name]),
                    }
                    for name, known in conducts.items()
                ],
            )
        ],
    )


def _values(conducts: Sequence[Conduct], name: str) -> OverSeeds:
    return over_seeds([known.shares()[name].value for known in conducts])


TABLE1 = Section(name="table1", title="Table 1: before and after learning", cells=cells, show=show)
