"""An MLLM as judge: pictures in, a reasoned verdict out.

Order within a pair, and asking both orders, are the hybrid reward's business: a judge answers the
question as it is put.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

from genagent_rewards import prompts
from genagent_rewards.chat import ChatModel, ChatReply, ChatRequest
from genagent_rewards.verdict import Choice, PairQuestion, PointQuestion, Verdict
from genagent_rewards.verdict_cache import VerdictCache, question_key

Question = TypeVar("Question", PointQuestion, PairQuestion)


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeCounts:
    """What became of questions. Example: ``JudgeCounts(asked=6, cached=2, absent=1)``"""

    asked: int = 0
    """Put to the model; a question that is asked twice in a batch is put once."""
    cached: int = 0
    """Answered from the cache."""
    absent: int = 0
    """Left without a verdict, repeated ones included."""
    unparsed: int = 0
    """Of those, the ones that the model had words for, in which no verdict could be read."""


class PointwiseJudge:
    """Does a picture satisfy its request?"""

    def __init__(self, chat: ChatModel, *, cache: VerdictCache | None = None) -> None:
        self.chat = chat
        self._docket = _Docket(chat, cache, prompts.POINT_CHOICES)

    def judge(self, questions: Sequence[PointQuestion]) -> list[Verdict | None]:
        """ "yes" or "no" for each, in order; None where no verdict could be had.

        Raises:
            ValueError: the chat model is configured wrongly, or the cache is damaged.
            OSError: a picture's file cannot be read, or a verdict not be kept.
        """
        return self._docket.verdicts(questions, point_request)

    def why_absent(self, question: PointQuestion | PairQuestion) -> str | None:
        """As ``ExplainsAbsence``."""
        return self._docket.why_absent(question)

    def take_counts(self) -> JudgeCounts:
        """Since the last call of this method."""
        return self._docket.take_counts()


class PairwiseJudge:
    """Which of two pictures satisfies the request better?"""

    def __init__(self, chat: ChatModel, *, cache: VerdictCache | None = None) -> None:
        self.chat = chat
        self._docket = _Docket(chat, cache, prompts.PAIR_CHOICES)

    def compare(self, questions: Sequence[PairQuestion]) -> list[Verdict | None]:
        """ "first", "second" or "tie" for each, in order; None where no verdict could be had.

        Raises:
            ValueError: the chat model is configured wrongly, or the cache is damaged.
            OSError: a picture's file cannot be read, or a verdict not be kept.
        """
        return self._docket.verdicts(questions, pair_request)

    def why_absent(self, question: PointQuestion | PairQuestion) -> str | None:
        """As ``ExplainsAbsence``."""
        return self._docket.why_absent(question)

    def take_counts(self) -> JudgeCounts:
        """Since the last call of this method."""
        return self._docket.take_counts()


def point_request(question: PointQuestion) -> ChatRequest:
    """The picture, then the question."""
    text = prompts.point_text(question.request, question.hints)
    return ChatRequest(system=prompts.SYSTEM, parts=(question.picture.image, text))


def pair_request(question: PairQuestion) -> ChatRequest:
    """Both pictures, each under its name, then the question."""
    return ChatRequest(
        system=prompts.SYSTEM,
        parts=(
            prompts.FIRST_PICTURE,
            question.first.image,
            prompts.SECOND_PICTURE,
            question.second.image,
            prompts.pair_text(question.request, question.hints),
        ),
    )


class _Docket:
    """Asks each question once, keeps what was answered, and counts."""

    def __init__(
        self, chat: ChatModel, cache: VerdictCache | None, choices: tuple[str, ...]
    ) -> None:
        self.chat = chat
        self.cache = cache
        self.choices = choices
        self.counts = JudgeCounts()
        # Groups of attempts are asked about from several threads.
        self._counting = threading.Lock()
        self._unanswered: dict[str, ChatReply] = {}

    def verdicts(
        self, questions: Sequence[Question], request: Callable[[Question], ChatRequest]
    ) -> list[Verdict | None]:
        keys = [question_key(question, self.chat.name) for question in questions]
        distinct = dict(zip(keys, questions, strict=True))
        found = {} if self.cache is None else self.cache.find(list(distinct))
        cached = sum(key in found for key in keys)
        open_keys = [key for key in distinct if key not in found]

        def arrived(place: int, reply: ChatReply) -> None:
            verdict, key = self._verdict(reply), open_keys[place]
            if verdict is None:
                self._unanswered[key] = reply
                return
            self._unanswered.pop(key, None)
            found[key] = verdict
            if self.cache is not None:
                self.cache.store(key, verdict)

        if open_keys:
            replies = self.chat.reply(
                [request(distinct[key]) for key in open_keys],
                accept=lambda text: prompts.parse_verdict(text, self.choices) is not None,
                arrived=arrived,
            )
            # For a model that only answers all at once.
            for place, reply in enumerate(replies):
                if open_keys[place] not in found:
                    arrived(place, reply)
        verdicts = [found.get(key) for key in keys]
        silent = [self._unanswered.get(key) for key in keys if key not in found]
        unparsed = sum(reply is not None and reply.raw != "" for reply in silent)
        with self._counting:
            self.counts = JudgeCounts(
                asked=self.counts.asked + len(open_keys),
                cached=self.counts.cached + cached,
                absent=self.counts.absent + verdicts.count(None),
                unparsed=self.counts.unparsed + unparsed,
            )
        return verdicts

    def why_absent(self, question: PointQuestion | PairQuestion) -> str | None:
        reply = self._unanswered.get(question_key(question, self.chat.name))
        if reply is None:
            return None
        error = reply.error or "the reply holds no verdict"
        return f"{error}; it ended with {reply.raw[-80:]!r}" if reply.raw else error

    def take_counts(self) -> JudgeCounts:
        with self._counting:
            counts, self.counts = self.counts, JudgeCounts()
        return counts

    def _verdict(self, reply: ChatReply) -> Verdict | None:
        choice = None if reply.text is None else prompts.parse_verdict(reply.text, self.choices)
        if reply.text is None or choice is None:
            return None
        return Verdict(
            choice=cast(Choice, choice),
            reason=prompts.parse_reason(reply.text),
            judge=self.chat.name,
            raw=reply.text,
        )
