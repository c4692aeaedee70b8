"""Requests of a kind that no training asks, before and after RL (section 4.5 of the paper)."""

from collections.abc import Sequence

from genagent_study.cell import Cell, Made
from genagent_study.examples import first_examples, with_pictures
from genagent_study.over_seeds import over_seeds
from genagent_study.paired import share
from genagent_study.pattern import against
from genagent_study.shown import Results, Section, Shown, Table, number, percent, points
from genagent_study.study import Study

ABOUT = (
    "Requests whose number is the result of a small sum; training has riddles of one step. The "
    "same requests under every seed."
)
EXAMPLES = 3


def asked(study: Study, seed: int) -> Cell:
    """The cold start and the agent, and the tool alone."""
    subject = study.subject
    return study.evaluated(
        "new requests",
        strategies=("plain", "agent"),
        policies=(subject.cold_start, Made(by=study.agent(seed))),
        options=("--world.held-out", subject.new_requests),
        seed=seed,
    )


def cells(study: Study, seed: int) -> list[Cell]:
    if not study.subject.new_requests:
        raise ValueError("the section new-requests wants a subject with new_requests")
    return [study.agent(seed), asked(study, seed)]


def show(study: Study, results: Results, seeds: Sequence[int]) -> Shown:
    subject = study.subject

    def answers(strategy: str, rounds: int, policy: str | None, seed: int):
        made = Made(by=study.agent(seed)) if policy == "rl" else policy
        return results[asked(study, seed)].answers(
            tool=subject.tool, strategy=strategy, rounds=rounds, policy=made
        )

    ways = {
        "the tool alone": [answers("plain", 1, None, s) for s in seeds],
        f"the agent, {subject.cold_start}": [
            answers("agent", 2, subject.cold_start, s) for s in seeds
        ],
        "the agent, rl": [answers("agent", 2, "rl", s) for s in seeds],
    }
    plain, before, after = ways.values()
    return Shown(
        about=ABOUT,
        patterns=[
            against(plain, after, "On new requests the agent beats the tool alone"),
            against(before, after, "What RL has taught helps on new requests"),
        ],
        tables=[
            Table(
                title=f"success with {subject.tool}, percent; gain, points",
                rows=[
                    {
                        "who": name,
                        "last picture": percent(over_seeds([share(a.success) for a in found])),
                        "first picture": percent(over_seeds([share(a.first) for a in found])),
                        "gain": points(over_seeds([a.gain for a in found])),
                        "pictures": number(over_seeds([a.rounds for a in found])),
                    }
                    for name, found in ways.items()
                ],
            )
        ],
        examples=[
            one
            for seed in with_pictures(seeds, lambda seed: results[asked(study, seed)])
            for one in first_examples(answers("agent", 2, "rl", seed), EXAMPLES)
        ],
        notes=[
            f"The first {EXAMPLES} requests, as the agent after RL answered them under the first "
            "seed whose pictures are here."
        ],
    )


NEW_REQUESTS = Section(
    name="new-requests", title="Requests of a new kind", cells=cells, show=show, shows_pictures=True
)
