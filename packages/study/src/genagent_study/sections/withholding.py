"""Withholding: paid for improvement, the agent learns to draw a worse first picture."""

from collections.abc import Mapping, Sequence

from genagent_study import paper
from genagent_study.cell import Cell
from genagent_study.curve_ends import ends
from genagent_study.dropped_words import dropped_words
from genagent_study.over_seeds import OverSeeds, in_percent, minus, over_seeds
from genagent_study.paired import difference, share
from genagent_study.pattern import Pattern
from genagent_study.plots import Panel, draw_curves, draw_points
from genagent_study.result import Answers, Result
from genagent_study.shown import (
    Example,
    Plot,
    Results,
    Said,
    Section,
    Shown,
    Table,
    number,
    percent,
    points,
)
from genagent_study.study import Study
from genagent_worlds import rate

ABOUT = (
    "What a single picture earns as pair reward, in four readings of Eq. 7; everything else and "
    "the seeds are the same. Repair is success on the requests whose own first picture failed. The "
    "bonus is split by whether the first picture had passed already: a bonus that goes to failed "
    "first pictures can be earned by failing. A second try is made at requests that have shown to "
    "be hard, by an agent that has seen a picture; how much more or less often it succeeds than "
    "first tries do at all requests is compared between readings."
)
READINGS = {
    "none": "rl without the pair reward",
    "if_passed": "rl, if_passed",
    "literal": "rl, literal",
    "zero": "rl, zero",
}
"""By the option's value, the name of the training."""
FAILED, PASSED = "reward/pair_after_failed_first", "reward/pair_after_passed_first"
EXAMPLES = 3
WORDS = 3
WORDS_TITLE = (
    "to illustrate: words that first prompts have more often than the second prompts of the same "
    f"attempts, the {WORDS} that fall most, attempts of all seeds together"
)


def trained(study: Study, reading: str, seed: int) -> Cell:
    """RL by one reading."""
    return study.trained(READINGS[reading], "--reward.single-round", reading, seed=seed)


def cells(study: Study, seed: int) -> list[Cell]:
    return [trained(study, reading, seed) for reading in READINGS]


def show(study: Study, results: Results, seeds: Sequence[int]) -> Shown:
    runs = {reading: [results[trained(study, reading, s)] for s in seeds] for reading in READINGS}
    after = {reading: [run.after for run in found] for reading, found in runs.items()}
    before = [run.before for run in runs["none"]]
    answers = {study.subject.cold_start: before, **after}
    first = {name: over_seeds([share(a.first) for a in ways]) for name, ways in answers.items()}
    last = {name: over_seeds([share(a.success) for a in ways]) for name, ways in answers.items()}
    mended = {name: over_seeds([a.repair for a in ways]) for name, ways in answers.items()}
    second = {name: over_seeds(list(map(second_try, ways))) for name, ways in answers.items()}
    bonus = {name: (_late(found, FAILED), _late(found, PASSED)) for name, found in runs.items()}
    words = [row for name, ways in answers.items() for row in _words(name, ways)]
    return Shown(
        about=ABOUT,
        patterns=[
            _above("zero", "none", after, "Paid by zero, first pictures are worse than unpaid"),
            _above(
                "zero", "if_passed", after, "Paid by zero, they are worse than paid by if_passed"
            ),
            _fallen(before, after["zero"], "Paid by zero, they are worse than before learning"),
            Pattern(
                claim="Paid by zero, reflection gains more than unpaid",
                measured=minus(*(over_seeds([a.gain for a in after[r]]) for r in ("zero", "none"))),
            ),
            Pattern(
                claim="Paid by zero, more of failed first pictures are mended than unpaid",
                measured=minus(mended["zero"], mended["none"]),
            ),
            Pattern(
                claim="Paid by zero, second tries at failures are further above first tries than "
                "unpaid",
                measured=minus(*(minus(second[r], first[r]) for r in ("zero", "none"))),
            ),
            Pattern(
                claim="Under zero the bonus goes to failed first pictures, not to passed ones",
                measured=minus(*bonus["zero"]),
                in_percent=False,
            ),
        ],
        plots=[
            Plot(
                title="success by reading",
                png=draw_points(
                    {
                        name: {
                            "the last picture": in_percent(last[name]),
                            "the first picture": in_percent(first[name]),
                        }
                        for name in answers
                    },
                    unit="success, %",
                ),
            ),
            Plot(title="first pictures and the bonus in training", png=_curves(runs)),
        ],
        tables=[
            Table(
                title=f"success with {study.subject.tool}, percent; gain, points; bonus a "
                "trajectory in the last fifth of the steps, before lambda",
                rows=[
                    {
                        "reading": name,
                        "last picture": percent(last[name]),
                        "first picture": percent(first[name]),
                        "second, after a failure": percent(second[name]),
                        "gain": points(over_seeds([a.gain for a in answers[name]])),
                        "repair": percent(mended[name]),
                        "pictures": number(over_seeds([a.rounds for a in answers[name]])),
                        "bonus, first failed": number(bonus[name][0], digits=3)
                        if name in bonus
                        else "-",
                        "bonus, first passed": number(bonus[name][1], digits=3)
                        if name in bonus
                        else "-",
                    }
                    for name in answers
                ],
            ),
            *([Table(title=WORDS_TITLE, rows=words)] if words else []),
            Table(title="the paper's first pictures, Table 5", rows=paper.FIRST_PICTURES),
        ],
        examples=_examples(before[0], after["none"][0], after["zero"][0]),
        notes=[
            f"The examples are the first {EXAMPLES} requests of seed {seeds[0]}, in their order, "
            "whose first picture was right before, wrong after learning by zero, and right after "
            "learning without the pair reward: chosen by rule, and such as the rule wants them.",
            "Bonuses count pairs alone: what if_passed and literal pay a single picture is not in "
            "them. none asks for no comparison, and pays none.",
        ],
    )


def second_try(answers: Answers) -> float:
    """Of second pictures that followed a failed first one, those that are right; 0 without any."""
    drawn = [one.passed for one in answers.outcomes.values() if one.passed[:1] == (False,)]
    return rate([passed[1] for passed in drawn if len(passed) > 1]).value


def _words(name: str, answers: Sequence[Answers]) -> list[dict[str, str]]:
    every = [one for seed in answers for one in seed.outcomes.values()]
    return [
        {
            "reading": name,
            "word": one.word,
            "of first prompts, %": one.first.short,
            "of second prompts, %": one.second.short,
            "first picture right with it, %": one.right_with.short,
            "without it, %": one.right_without.short,
        }
        for one in dropped_words(every, count=WORDS)
    ]


def _above(one: str, other: str, after: Mapping[str, Sequence[Answers]], claim: str) -> Pattern:
    """That first pictures of the other are right more often than the one's."""
    return _fallen(after[other], after[one], claim)


def _fallen(before: Sequence[Answers], after: Sequence[Answers], claim: str) -> Pattern:
    pairs = difference([(a.first, b.first) for b, a in zip(before, after, strict=True)])
    return Pattern(claim=claim, measured=pairs.by_seed, pairs=pairs)


def _late(runs: Sequence[Result], metric: str) -> OverSeeds:
    """Of the last fifth of the steps; 0 where nothing is paid."""
    return ends([run.figures.get(metric, {1: 0.0}) for run in runs])[1]


def _curves(runs: Mapping[str, Sequence[Result]]) -> bytes:
    wanted = {
        "success, first picture": "agent/first_success",
        "success, last picture": "agent/success",
        "bonus, first failed": FAILED,
    }
    return draw_curves(
        [
            Panel(
                title=title,
                curves={
                    name: [run.figures[metric] for run in found]
                    for name, found in runs.items()
                    if all(metric in run.figures for run in found)
                },
            )
            for title, metric in wanted.items()
        ],
        across="step",
    )


def _examples(before: Answers, unpaid: Answers, paid: Answers) -> list[Example]:
    found = []
    for id, one in before.outcomes.items():
        sides = [answers.outcomes.get(id) for answers in (before, unpaid, paid)]
        if None in sides or [side and side.first_success for side in sides] != [True, True, False]:
            continue
        said = [
            Said(who=name, words=side.trajectory.rounds[0].tool_prompt)
            for name, side in zip(("before", "after none", "after zero"), sides, strict=True)
            if side is not None and side.trajectory.rounds
        ]
        found.append(Example(title=one.request.prompt, said=said))
    return found[:EXAMPLES]


WITHHOLDING = Section(
    name="withholding", title="Withholding: the first picture", cells=cells, show=show
)
