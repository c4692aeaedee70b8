"""Frozen models behind ``ChatModel``, each with its question as a file.

The words are versioned by their content and hold what a user's request says, never hints.
"""

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from genagent_data import Picture, PromptFile, Request, read_prompt
from genagent_data.synthesis import Call, Judgement
from genagent_data.synthesis.chat_teacher import WORDS, read_call, read_judgement, said_in
from genagent_rewards import ChatReply, ChatRequest
from genagent_rollout.strategies.asking import Asking
from genagent_worlds import Said, Tried

PROMPTS = {
    "rewrite": ("request", "words"),
    "verify": ("request", "prompt"),
    "reflect": ("request", "prompt", "judgement", "words"),
}
"""Files, and the slots of each."""

_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_THOUGHT = re.compile(r"<think>(.*?)</think>", re.DOTALL)
_OPEN_THOUGHT = re.compile(r"<think>.*", re.DOTALL)
_TAG = re.compile(r"</?(?:think|answer)>")


class ChatRewriter:
    """A ``Rewrites``: a model that was taught to rewrite, or any other that is told how."""

    def __init__(self, asking: Asking, prompt: PromptFile, *, words: int | None = None) -> None:
        """
        Args:
            words: of a prompt that the tool reads.
        """
        self._asking = asking
        self._prompt = prompt
        self._words = words or WORDS

    @property
    def name(self) -> str:
        return f"{self._asking.name} {self._prompt.version}"

    async def rewrite(self, request: Request, *, seed: int) -> Said[Call]:
        """See ``Rewrites``; words in which there is no prompt are replaced by the request's own, as
        PromptEnhancer does, and marked."""
        question = _question(self._prompt, request=request.prompt, words=str(self._words))
        reply = await self._asking.ask(question, accept=_any_words, seed=seed)
        if not reply.raw.strip():
            return Said(words="", meant=said_in(reply, read_call))
        found = read_rewrite(reply.raw)
        call = found or Call(thinking="", prompt=request.prompt)
        return Said(words=reply.raw, meant=call, fallback=found is None)


class ChatVerifier:
    """A ``Verifies``."""

    def __init__(self, asking: Asking, prompt: PromptFile) -> None:
        self._asking = asking
        self._prompt = prompt

    @property
    def name(self) -> str:
        return f"{self._asking.name} {self._prompt.version}"

    async def verify(
        self, request: Request, *, prompt: str, picture: Picture, seed: int
    ) -> Said[Judgement]:
        """See ``Verifies``."""
        question = _question(self._prompt, picture, request=request.prompt, prompt=prompt)
        reply = await self._asking.ask(question, accept=_is_judgement, seed=seed)
        return Said(words=_words(reply), meant=said_in(reply, read_judgement))


class ChatReflector:
    """A ``Reflects``; it is shown what was tried last."""

    def __init__(self, asking: Asking, prompt: PromptFile, *, words: int | None = None) -> None:
        """See ``ChatRewriter``."""
        self._asking = asking
        self._prompt = prompt
        self._words = words or WORDS

    @property
    def name(self) -> str:
        return f"{self._asking.name} {self._prompt.version}"

    async def reflect(self, request: Request, *, tried: tuple[Tried, ...], seed: int) -> Said[Call]:
        """See ``Reflects``."""
        last = tried[-1]
        question = _question(
            self._prompt,
            last.picture,
            request=request.prompt,
            prompt=last.prompt,
            judgement=last.judgement.words,
            words=str(self._words),
        )
        reply = await self._asking.ask(question, accept=_is_call, seed=seed)
        return Said(words=_words(reply), meant=said_in(reply, read_call))


def read_prompts(folder: Path | None) -> list[PromptFile]:
    """Those of ``PROMPTS``, our own or a folder's.

    Raises:
        ValueError: a file is not what it should be.
        OSError: one is missing.
    """
    own = Path(str(files("genagent_rollout"))) / "strategies" / "prompts"
    return [read_prompt(name, *slots, folder=folder or own) for name, slots in PROMPTS.items()]


def read_rewrite(text: str) -> Call | None:
    """The prompt of a rewriting model's reply, read as PromptEnhancer reads its own: what stands in
    ``<answer>``, or else all but the thought; None where nothing is left."""
    thought = _THOUGHT.search(text)
    thinking = thought[1].strip() if thought else ""
    # The last one: a thought may quote the form.
    answers = _ANSWER.findall(text.rpartition("</think>")[2])
    rest = answers[-1] if answers else _OPEN_THOUGHT.sub("", _THOUGHT.sub("", text))
    prompt = " ".join(_TAG.sub("", rest).split())
    # JSON can escape half a surrogate pair, which no file takes.
    if not prompt or re.search("[\ud800-\udfff]", prompt + thinking):
        return None
    return Call(thinking=thinking, prompt=prompt)


def _question(file: PromptFile, /, *pictures: Picture, **slots: str) -> ChatRequest:
    shown: list[Any] = [picture.image for picture in pictures]
    return ChatRequest(system=file.system, parts=(*shown, file.ask(**slots)))


def _words(reply: ChatReply) -> str:
    return reply.raw if reply.text is None else reply.text


def _any_words(text: str) -> bool:
    return bool(text.strip())


def _is_judgement(text: str) -> bool:
    return read_judgement(text) is not None


def _is_call(text: str) -> bool:
    return read_call(text) is not None
