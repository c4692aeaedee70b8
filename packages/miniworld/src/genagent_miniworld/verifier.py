"""The exact verifier, as a judge: it reads the picture and checks the hints one by one."""

from collections.abc import Sequence
from functools import lru_cache

from PIL import Image

from genagent_miniworld.conditions import Spec, parse_hints
from genagent_miniworld.reading import Reading, read
from genagent_rewards import PairQuestion, Picture, PointQuestion, Verdict


class Verifier:
    """Both judges of the reward protocols; never wrong about a rendered scene, never absent."""

    name = "verifier"

    def judge(self, questions: Sequence[PointQuestion]) -> list[Verdict | None]:
        """ "yes" where every hint holds. Raises ValueError for a hint it cannot read."""
        return [self._point(question) for question in questions]

    def compare(self, questions: Sequence[PairQuestion]) -> list[Verdict | None]:
        """The picture with fewer errors; "tie" where they are equal."""
        return [self._pair(question) for question in questions]

    def passed(self, hints: Sequence[str], picture: Image.Image) -> bool:
        """Whether the picture meets every hint."""
        return parse_hints(hints).met(read(picture))

    def _point(self, question: PointQuestion) -> Verdict:
        errors = parse_hints(question.hints).errors(_reading(question.picture))
        reason = "; ".join(f"{hint}: {'no' if error else 'yes'}" for hint, error in errors)
        choice = "no" if any(error for _, error in errors) else "yes"
        return Verdict(choice=choice, reason=reason, judge=self.name)

    def _pair(self, question: PairQuestion) -> Verdict:
        spec = parse_hints(question.hints)
        first, second = (_errors(spec, _reading(p)) for p in (question.first, question.second))
        choice = "tie" if first == second else "first" if first < second else "second"
        reason = f"errors: first {first}, second {second}"
        return Verdict(choice=choice, reason=reason, judge=self.name)


def _errors(spec: Spec, reading: Reading) -> int:
    """How far a picture is from a request: the sum of its conditions' errors."""
    return sum(error for _, error in spec.errors(reading))


# A step's 250 pictures are each looked at up to five times, by measures and audits; 0.7 ms a look.
@lru_cache(maxsize=1024)
def _reading(picture: Picture) -> Reading:
    return read(picture.image)
