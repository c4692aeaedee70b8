"""Attempts as examples: each picture with its prompt and what the agent said of it."""

from collections.abc import Callable, Sequence

from genagent_data.pictures import png_bytes
from genagent_study.result import Answers, Result
from genagent_study.shown import Example, Said
from genagent_worlds import Outcome


def with_pictures(seeds: Sequence[int], result_of: Callable[[int], Result]) -> list[int]:
    """The first of the seeds whose pictures are here, if any; an archive has none."""
    return [seed for seed in seeds if result_of(seed).has_pictures][:1]


def first_examples(answers: Answers, number: int) -> list[Example]:
    """The first attempts, whatever became of them."""
    return [example(one) for one in list(answers.outcomes.values())[:number]]


def example(outcome: Outcome, *, why: str = "") -> Example:
    """One attempt.

    Args:
        why: it was chosen.
    """
    said = []
    for place, one in enumerate(outcome.trajectory.rounds, 1):
        words = f"{one.tool_prompt} — {one.judgement}" if one.judgement else one.tool_prompt
        png = None if one.picture is None else png_bytes(one.picture)
        said.append(Said(who=f"picture {place}", words=words, png=png))
    title = f"{why}: {outcome.request.prompt}" if why else outcome.request.prompt
    return Example(title=title, said=said, right=outcome.success)
