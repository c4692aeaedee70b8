"""What judges are asked and what they answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from genagent_rewards.picture import Picture

Choice = Literal["yes", "no", "first", "second", "tie"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PointQuestion:
    """Does this picture satisfy the request?"""

    request: str
    hints: tuple[str, ...]
    picture: Picture


@dataclass(frozen=True, kw_only=True, slots=True)
class PairQuestion:
    """Which of two pictures satisfies the request better?"""

    request: str
    hints: tuple[str, ...]
    first: Picture
    second: Picture


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """A judge's answer: the reason comes first, the choice last.

    Example: ``Verdict(choice="no", reason="2 red circles instead of 3", judge="verifier")``
    """

    choice: Choice
    reason: str
    judge: str
    raw: str = ""
    """The judge's words before parsing, where it has any."""


class JudgesPictures(Protocol):
    """Answers "yes" or "no" for each picture; None is a verdict that could not be had."""

    def judge(self, questions: Sequence[PointQuestion]) -> list[Verdict | None]: ...


class ComparesPictures(Protocol):
    """Answers "first", "second" or "tie" for each pair; None is a verdict that could not be had."""

    def compare(self, questions: Sequence[PairQuestion]) -> list[Verdict | None]: ...


@runtime_checkable
class ExplainsAbsence(Protocol):
    """A judge that can say why it gave no verdict; one that cannot need not."""

    def why_absent(self, question: PointQuestion | PairQuestion) -> str | None:
        """One line; None where the question was answered or never asked."""
        ...


def why_absent(
    judge: JudgesPictures | ComparesPictures, question: PointQuestion | PairQuestion
) -> str | None:
    """The judge's reason for giving no verdict, where it has one."""
    return judge.why_absent(question) if isinstance(judge, ExplainsAbsence) else None
