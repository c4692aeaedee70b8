"""Who scores pictures: a chat model by a benchmark's own question, or a judge by yes and no."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from genagent_data import Request
from genagent_rewards import ChatModel, ChatReply, JudgesPictures, Picture, PointQuestion
from genagent_worlds.benchmarks.benchmark import Benchmark, Result, Score

AT_ONCE = 128
"""Pictures decoded at a time: 400 MB at 1024x1024."""

Item = tuple[Request, Picture]
Arrived = Callable[[int, Result], None]
"""Hears of each result as it comes, by its place; perhaps on another thread."""


class ScoresPictures(Protocol):
    """Scores each picture, in order."""

    def score(self, items: Sequence[Item], *, arrived: Arrived | None = None) -> list[Result]:
        """
        Raises:
            ValueError: the model is configured wrongly, so that nothing can be scored.
            OSError: a picture's file cannot be read.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoredByQuestion:
    """A chat model that is asked a benchmark's question.

    Example: ``ScoredByQuestion(benchmark=benchmark, chat=KeptChat(OpenAIChat(config), kept))``
    """

    benchmark: Benchmark
    chat: ChatModel

    def score(self, items: Sequence[Item], *, arrived: Arrived | None = None) -> list[Result]:
        """See ``ScoresPictures``."""
        return score_pictures(self.benchmark, self.chat, items, arrived=arrived)


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoredByJudge:
    """A judge's yes and no; a verdict that could not be had is "failed", whatever the reason."""

    judge: JudgesPictures

    def score(self, items: Sequence[Item], *, arrived: Arrived | None = None) -> list[Result]:
        """See ``ScoresPictures``."""
        results: list[Result] = []
        for chunk in _chunks(items):
            verdicts = self.judge.judge(
                [
                    PointQuestion(
                        request=request.prompt, hints=request.hints, picture=_undecoded(picture)
                    )
                    for request, picture in chunk
                ]
            )
            for verdict in verdicts:
                if verdict is None:
                    result: Result = "failed"
                else:
                    passed = verdict.choice == "yes"
                    result = Score(value=float(passed), passed=passed, reason=verdict.reason)
                results.append(result)
                if arrived is not None:
                    arrived(len(results) - 1, result)
        return results


def score_pictures(
    benchmark: Benchmark,
    chat: ChatModel,
    items: Sequence[Item],
    *,
    arrived: Arrived | None = None,
) -> list[Result]:
    """What a model makes of each picture, asked a benchmark's own question.

    Raises:
        ValueError: the model is configured wrongly, so that nothing can be scored.
        OSError: a picture's file cannot be read.
    """
    results: list[Result] = []
    for chunk in _chunks(items):
        start = len(results)

        def heard(place: int, reply: ChatReply, start: int = start) -> None:
            if arrived is not None:
                arrived(start + place, _result(benchmark, reply))

        replies = chat.reply(
            [benchmark.question(request, _undecoded(picture)) for request, picture in chunk],
            accept=lambda text: benchmark.read(text) is not None,
            arrived=heard,
        )
        results.extend(_result(benchmark, reply) for reply in replies)
    return results


def _chunks(items: Sequence[Item]) -> list[Sequence[Item]]:
    return [items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE)]


def _undecoded(picture: Picture) -> Picture:
    """The picture without pixels that it would hold for as long as it lives, where a file has
    them: a thousand of 1024x1024 are 3 GB."""
    return picture if picture.path is None else Picture(picture.name, path=picture.path)


def _result(benchmark: Benchmark, reply: ChatReply) -> Result:
    # Words that were kept may have been accepted by other rules than today's.
    score = None if reply.text is None else benchmark.read(reply.text)
    if score is not None:
        return score
    return "unparsed" if reply.raw or reply.text else "failed"
