"""Teachers behind ``ChatModel``: one model for each part of the writing, or one for all.

The paper has Qwen3-VL-235B-Thinking and Gemini 2.5 share the work. A reply must hold the tags that
the prompt asks for and nothing that would break the agent's own protocol; a model is asked again as
often as its ``ChatModel`` does, and what it had to say in the end is the reason of the drop.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from genagent_data.prompt_files import PromptFile, read_prompt
from genagent_data.request import Request
from genagent_data.synthesis.teacher import Call, Failure, Judgement, PartialTrajectory, Why
from genagent_rewards import NO_HINTS, ChatModel, ChatReply, ChatRequest

WORDS = 350
"""Of a prompt, where the tool does not say how much it reads: FLUX's T5 takes 512 tokens."""
REFERENCE = "The second picture above satisfies the request; it is for your eyes only."
LIST = "Conditions that the next picture must meet, for your eyes only:"

_REFUSAL = re.compile(
    r"\b(?:i(?:'m| am) (?:sorry|unable|not able)|i (?:can(?:no|')t|won't|will not|must decline)|"
    r"(?:against|violates?) (?:my|our|the) (?:\w+ )?(?:policy|policies|guidelines))",
    re.IGNORECASE,
)
Said = TypeVar("Said", Call, Judgement)


class ChatTeacher:
    """A ``Teacher`` that asks models in words.

    Example: ``ChatTeacher(open=qwen, judge=gemini, reflect=qwen)``
    """

    def __init__(
        self,
        *,
        open: ChatModel,
        judge: ChatModel,
        reflect: ChatModel,
        words: int | None = None,
        prompts: Path | None = None,
    ) -> None:
        """
        Args:
            words: of a prompt that the tool reads.
            prompts: a folder with ``open.md``, ``judge.md``, ``rules.md`` and ``reflect.md`` to ask
                with instead of ours.

        Raises:
            ValueError: a prompt file is not what it should be.
            OSError: one is missing.
        """
        self._models = {"open": open, "judge": judge, "reflect": reflect}
        self._words = str(words or WORDS)
        self._open, self._judge, self._reflect = read_teacher_prompts(prompts)

    @property
    def name(self) -> str:
        """Example: ``"qwen open@…, gemini judge@…, qwen reflect@…"``"""
        versions = (self._open.version, self._judge.version, self._reflect.version)
        pairs = zip(self._models.values(), versions, strict=True)
        return ", ".join(f"{model.name} {version}" for model, version in pairs)

    def open(self, requests: Sequence[Request]) -> list[Call | Failure]:
        """As ``Teacher.open``. Raises ValueError where no endpoint takes requests of ours."""
        questions = [
            ChatRequest(
                system=self._open.system,
                parts=(self._open.ask(request=request.prompt, words=self._words),),
            )
            for request in requests
        ]
        return _heard(self._models["open"], questions, read_call)

    def judge(self, attempts: Sequence[PartialTrajectory]) -> list[Judgement | Failure]:
        """As ``Teacher.judge``. Raises ValueError where no endpoint takes requests of ours."""
        return _heard(self._models["judge"], [self._look(one) for one in attempts], read_judgement)

    def reflect(self, attempts: Sequence[PartialTrajectory]) -> list[Call | Failure]:
        """As ``Teacher.reflect``. Raises ValueError where no endpoint takes requests of ours."""
        return _heard(self._models["reflect"], [self._think(one) for one in attempts], read_call)

    def _look(self, attempt: PartialTrajectory) -> ChatRequest:
        text = self._judge.ask(
            request=attempt.request.prompt,
            prompt=attempt.calls[-1].prompt,
            checklist=_lines(attempt.request.hints),
        )
        return ChatRequest(system=self._judge.system, parts=(attempt.pictures[-1].image, text))

    def _think(self, attempt: PartialTrajectory) -> ChatRequest:
        hint = REFERENCE if attempt.reference else f"{LIST}\n{_lines(attempt.request.hints)}"
        text = self._reflect.ask(
            request=attempt.request.prompt,
            prompt=attempt.calls[-1].prompt,
            judgement=attempt.judgements[-1].words,
            hint=hint,
            words=self._words,
        )
        shown = [attempt.pictures[-1].image]
        if attempt.reference is not None:
            shown.append(attempt.reference.image)
        return ChatRequest(system=self._reflect.system, parts=(*shown, text))


def read_teacher_prompts(folder: Path | None) -> tuple[PromptFile, PromptFile, PromptFile]:
    """What opens, judges and reflects, as ``read_prompt`` reads it."""
    asked = ("request", "prompt")
    return (
        read_prompt("open", "request", "words", folder=folder),
        read_prompt("judge", *asked, "checklist", folder=folder, rules="rules"),
        read_prompt("reflect", *asked, "judgement", "hint", "words", folder=folder),
    )


def read_call(text: str) -> Call | None:
    """The thought and the prompt, or None where the reply is not of that form."""
    fields = _fields(text, ("thought", "prompt"))
    return None if fields is None else Call(thinking=fields[0], prompt=fields[1])


def read_judgement(text: str) -> Judgement | None:
    """The judgement and its verdict, or None where the reply is not of that form."""
    fields = _fields(text, ("judgement", "verdict"))
    if fields is None or fields[1].lower() not in ("right", "wrong"):
        return None
    return Judgement(words=fields[0], right=fields[1].lower() == "right")


def _fields(text: str, tags: tuple[str, ...]) -> list[str] | None:
    """What each tag holds: all of them once, in order, filled, and nothing around them."""
    spoken = text.rpartition("</think>")[2]
    pattern = r"\s*".join(rf"<{tag}>((?:(?!</?{tag}>).)*)</{tag}>" for tag in tags)
    match = re.fullmatch(rf"\s*{pattern}\s*", spoken, re.DOTALL)
    fields = [] if match is None else [" ".join(part.split()) for part in match.groups()]
    # JSON can escape half a surrogate pair, which no file takes.
    whole = all(fields) and not re.search("[\ud800-\udfff]", spoken)
    return fields if fields and whole else None


def _heard(
    chat: ChatModel, questions: Sequence[ChatRequest], read: Callable[[str], Said | None]
) -> list[Said | Failure]:
    replies = chat.reply(questions, accept=lambda text: read(text) is not None)
    return [said_in(reply, read) for reply in replies]


def said_in(reply: ChatReply, read: Callable[[str], Said | None]) -> Said | Failure:
    """What the words come to, or why they come to nothing."""
    said = None if reply.text is None else read(reply.text)
    if said is not None:
        return said
    words = " ".join(reply.raw.split())
    return Failure(
        why=_why(reply), detail=f"{reply.error}: {words[-120:]!r}" if words else str(reply.error)
    )


def _why(reply: ChatReply) -> Why:
    error = reply.error or ""
    if "cut off" in error:
        return "cut_off"
    if not reply.raw:
        # An endpoint that answers with no words at all has refused; one that fails says why.
        return "refusal" if "the reply was refused" in error else "silent"
    return "refusal" if _REFUSAL.search(reply.raw) else "prose"


def _lines(hints: Sequence[str]) -> str:
    return "\n".join(f"- {hint}" for hint in hints or (NO_HINTS,))
