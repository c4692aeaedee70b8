"""Held-out requests before and after as a report shows them, those that changed first."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from genagent_tracking.held_out import words_of
from genagent_tracking.report_rounds import RoundView, attempt_rounds
from genagent_tracking.results import CHANGES, change
from genagent_tracking.thumbnails import Thumbnails
from genagent_worlds import Outcome

CHANGES_ALONE = {"wrong": "wrong", "right": "right", "unknown": "not known"}
"""``CHANGES`` where there is one evaluation only."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptCard:
    """One side of a card."""

    title: str
    rounds: list[RoundView]
    is_right: bool | None
    ending: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """One request."""

    prompt: str
    hints: tuple[str, ...]
    change: str
    task: int
    """Number of its task."""
    sides: list[AttemptCard]


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldOutView:
    """All of them."""

    cards: list[Card]
    changes: list[tuple[str, str, int]]
    """Class, words and how many, of those that there are."""
    tasks: list[tuple[str, int]]
    """Name and how many; a card's ``task`` is the place here."""

    @property
    def rules(self) -> str:
        """Style that hides what a filter leaves out."""
        filters = [
            *((f"change-{name}", f".{name}") for name, _, _ in self.changes),
            *((f"task-{number}", f".task-{number}") for number in range(len(self.tasks))),
        ]
        return "".join(
            f"#{button}:checked ~ .cards > :not({kept}) {{ display: none; }}\n"
            f'#{button}:checked ~ .filters [for="{button}"] '
            "{ background: var(--ink); color: var(--paper); border-color: var(--ink); }\n"
            for button, kept in (*filters, ("change-all", "*"), ("task-all", "*"))
        )


def held_out_view(
    before: Sequence[Outcome], after: Sequence[Outcome], thumbnails: Thumbnails, *, steps: int
) -> HeldOutView:
    """
    Args:
        after: of the same requests, or empty.
        steps: taken before ``after``.

    Raises:
        OSError: a picture cannot be read.
    """
    named = CHANGES if after else CHANGES_ALONE
    changes = [change(*pair) for pair in zip(before, after, strict=True)] if after else []
    changes = changes or [change(outcome, outcome) for outcome in before]
    tasks = list(dict.fromkeys(outcome.request.task for outcome in before))
    order = sorted(range(len(before)), key=lambda place: list(named).index(changes[place]))
    cards = [
        Card(
            prompt=before[place].request.prompt,
            hints=before[place].request.hints,
            change=changes[place],
            task=tasks.index(before[place].request.task),
            sides=[
                _side(title, outcome[place], thumbnails)
                for title, outcome in (("before", before), (f"after {steps} steps", after))
                if outcome
            ],
        )
        for place in order
    ]
    found, of_task = Counter(changes), Counter(o.request.task for o in before)
    return HeldOutView(
        cards=cards,
        changes=[(name, words, found[name]) for name, words in named.items() if found[name]],
        tasks=[(task, of_task[task]) for task in tasks],
    )


def _side(title: str, outcome: Outcome, thumbnails: Thumbnails) -> AttemptCard:
    trajectory = outcome.trajectory
    ending = trajectory.ending.replace("_", " ")
    return AttemptCard(
        title=title,
        rounds=attempt_rounds(trajectory, thumbnails, words_of(outcome)),
        is_right=outcome.success,
        ending=f"{ending}: {trajectory.error}" if trajectory.error else ending,
    )
