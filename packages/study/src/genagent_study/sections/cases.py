"""Cases, chosen by rule, and how differently the agent goes about different tasks."""

from collections.abc import Sequence

from genagent_study.cell import Cell
from genagent_study.examples import example, with_pictures
from genagent_study.over_seeds import OverSeeds, over_seeds
from genagent_study.result import Answers
from genagent_study.shown import Example, Results, Section, Shown, Table, number, percent
from genagent_study.study import Study
from genagent_worlds import Outcome
from genagent_worlds.conduct import spoils, word_distance

ABOUT = (
    "Of each task the first held-out request whose first picture failed and whose last one is "
    "right; then the mended request whose prompts differ least, and the first one whose right "
    "picture was given up for a wrong one. Attempts are of the agent after RL; a rule picks them, "
    "and whether a picture is right is the truth's word. The table is of all attempts: what the "
    "paper calls task-adaptive would be tasks that differ in words, pictures and repairs."
)


def cells(study: Study, seed: int) -> list[Cell]:
    return [study.agent(seed)]


def show(study: Study, results: Results, seeds: Sequence[int]) -> Shown:
    after = [results[study.agent(seed)].after for seed in seeds]
    tasks = list(dict.fromkeys(one.request.task for one in after[0].outcomes.values()))
    of_task = {
        task: [[o for o in a.outcomes.values() if o.request.task == task] for a in after]
        for task in tasks
    }
    return Shown(
        about=ABOUT,
        tables=[
            Table(
                title="the agent after RL, by task; repair is of failed first pictures, percent",
                rows=[
                    {
                        "task": task,
                        "words of the first prompt": number(_mean(found, _words), digits=1),
                        "pictures": number(_mean(found, lambda o: len(o.passed))),
                        "success": percent(_mean(found, lambda o: o.success)),
                        "first picture": percent(_mean(found, lambda o: o.first_success)),
                        "repair": percent(_mean(found, _repair)),
                    }
                    for task, found in of_task.items()
                ],
            )
        ],
        examples=[
            one
            for seed in with_pictures(seeds, lambda seed: results[study.agent(seed)])
            for one in _cases(results[study.agent(seed)].after)
        ],
        notes=[
            "Cases are of the first seed whose pictures are here; a rule that nothing meets shows "
            "nothing."
        ],
    )


def _cases(answers: Answers) -> list[Example]:
    found: dict[str, Outcome] = {}
    mended = [
        one for one in answers.outcomes.values() if one.first_success is False and one.success
    ]
    for one in mended:
        found.setdefault(one.request.task, one)
    if mended:
        found["smallest edit"] = min(mended, key=_edit)
    for one in answers.outcomes.values():
        if spoils(one) and not one.success:
            found.setdefault("over-reflection", one)
    return [example(one, why=why) for why, one in found.items()]


def _edit(outcome: Outcome) -> int:
    rounds = outcome.trajectory.rounds
    return word_distance(rounds[0].tool_prompt, rounds[-1].tool_prompt)


def _mean(found: Sequence[Sequence[Outcome]], of) -> OverSeeds | None:
    """Over a seed's attempts of which it is known, and the seeds that have such; None without."""
    means = []
    for outcomes in found:
        known = [float(value) for one in outcomes if (value := of(one)) is not None]
        means += [sum(known) / len(known)] if known else []
    return over_seeds(means) if means else None


def _words(outcome: Outcome) -> int | None:
    rounds = outcome.trajectory.rounds
    return len(rounds[0].tool_prompt.split()) if rounds else None


def _repair(outcome: Outcome) -> bool | None:
    return outcome.success if outcome.passed[:1] == (False,) else None


CASES = Section(
    name="cases", title="Cases, and how tasks differ", cells=cells, show=show, shows_pictures=True
)
