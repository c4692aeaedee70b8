"""A tool, judges and a teacher that do what a request's words tell them to.

A picture's red is its quality: what the prompt's number says. 200 satisfies every request.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from genagent_data import Request, SynthesisConfig, SynthesisServices
from genagent_data.synthesis import Call, Failure, Judgement, PartialTrajectory
from genagent_rewards import PairQuestion, PointQuestion, Verdict
from genagent_tools import PartialFailure, ToolError

ENOUGH = 200
CONFIG = SynthesisConfig(chunk=4, batch=4, workers=1)


def ask(id: str, plain: int = 10, **more) -> Request:
    return Request(id=id, prompt=f"request {id} of quality {plain}", **more)


def call(quality: int, words: str = "") -> Call:
    return Call(thinking=f"think{words}", prompt=f"drawn with quality {quality}{words}")


class NumberTool:
    """Fails where the prompt says so; counts what it draws."""

    def __init__(self) -> None:
        self.drawn: list[tuple[str, int]] = []

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        self.drawn += zip(prompts, seeds, strict=True)
        results = [self._one(prompt, seed) for prompt, seed in zip(prompts, seeds, strict=True)]
        pictures = [result for result in results if isinstance(result, Image.Image)]
        if len(pictures) < len(results):
            raise PartialFailure(results)
        return pictures

    def _one(self, prompt: str, seed: int) -> Image.Image | ToolError:
        if "broken" in prompt:
            return ToolError("out of paint")
        green = 0 if "same" in prompt else seed % 256
        return Image.new("RGB", (8, 8), (int(re.findall(r"\d+", prompt)[-1]), green, 0))


class ThirdTimeLucky(NumberTool):
    """What it draws of one prompt for the third time satisfies every request."""

    def _one(self, prompt: str, seed: int) -> Image.Image | ToolError:
        if sum(drawn == prompt for drawn, _ in self.drawn) == 3:
            return Image.new("RGB", (8, 8), (250, 0, 0))
        return super()._one(prompt, seed)


def quality(picture) -> int:
    return picture.image.getpixel((0, 0))[0]


class NumberJudge:
    """Both judges; silent on requests that say so."""

    def judge(self, questions: Sequence[PointQuestion]) -> list[Verdict | None]:
        return [
            None
            if "unjudged" in q.request
            else Verdict(
                choice="yes" if quality(q.picture) >= ENOUGH else "no", reason="red", judge="n"
            )
            for q in questions
        ]

    def compare(self, questions: Sequence[PairQuestion]) -> list[Verdict | None]:
        return [
            None
            if "incomparable" in q.request
            else Verdict(choice=_better(q), reason="", judge="n")
            for q in questions
        ]


class AlwaysSecond(NumberJudge):
    """Takes every second picture for the better one."""

    def compare(self, questions: Sequence[PairQuestion]) -> list[Verdict | None]:
        return [Verdict(choice="second", reason="", judge="n") for _ in questions]


def _better(question: PairQuestion):
    first, second = quality(question.first), quality(question.second)
    return "tie" if first == second else "first" if first > second else "second"


class Script:
    """A teacher by request id: what it says in turn, or what its default says."""

    name = "script"

    def __init__(self, **lines: Sequence[Call | Judgement | Failure]) -> None:
        self.lines = lines
        self.asked: list[str] = []

    def open(self, requests: Sequence[Request]) -> list[Call | Failure]:
        return [self._said(r.id, 0, lambda: call(20)) for r in requests]

    def judge(self, attempts: Sequence[PartialTrajectory]) -> list[Judgement | Failure]:
        return [
            self._said(a.request.id, 2 * len(a.pictures) - 1, lambda a=a: _true(a))
            for a in attempts
        ]

    def reflect(self, attempts: Sequence[PartialTrajectory]) -> list[Call | Failure]:
        return [
            self._said(a.request.id, 2 * len(a.pictures), lambda a=a: call(200 + len(a.pictures)))
            for a in attempts
        ]

    def _said(self, id: str, place: int, default: Callable[[], object]) -> Any:
        self.asked.append(f"{id}/{place}")
        lines = self.lines.get(id, ())
        return lines[place] if place < len(lines) and lines[place] else default()


def _true(attempt: PartialTrajectory) -> Judgement:
    right = quality(attempt.pictures[-1]) >= ENOUGH
    return Judgement(words="looks good" if right else "looks bad", right=right)


def services(tool: object | None = None, judge: object | None = None) -> SynthesisServices:
    judge = judge or NumberJudge()
    return SynthesisServices(
        tool=tool or NumberTool(),  # pyright: ignore[reportArgumentType]
        tool_name="numbers",
        point=judge,  # pyright: ignore[reportArgumentType]
        pair=judge,  # pyright: ignore[reportArgumentType]
        judge_name="numbers",
    )


def files(folder: Path) -> dict[str, bytes]:
    """All that was made, but for what SQLite, clocks and locks have written."""
    skipped = ("lock", ".sqlite", ".sqlite-wal", ".sqlite-shm", ".figures.json")
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(skipped) and path.suffix not in (".md", ".png")
    }
