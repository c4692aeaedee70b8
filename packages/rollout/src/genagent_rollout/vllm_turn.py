"""One turn of one conversation, asked of whichever vLLM server can."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from genagent_endpoints import Answer, Exchange, Lost, Refused, TurnedAway
from genagent_rollout.vllm_wire import PATH, Choice, Generated, Prompt, VersionSpan


class PromptMismatch(Refused):
    """A server reads another prompt than was meant; so would the next one started like it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServedTurn:
    """What a server sampled."""

    url: str
    choice: Choice


@dataclass(kw_only=True, slots=True)
class VllmCounts:
    """What an engine has done so far."""

    turns: int = 0
    sampled_tokens: int = 0
    stale_tokens: int = 0
    """Of them sampled with weights that were no longer the newest when their turn was over."""


class TurnQuestion:
    """What is sent for a turn, and which answers are taken."""

    def __init__(
        self,
        prompt: Prompt,
        compose: Callable[[], Mapping[str, object]],
        *,
        is_current: Callable[[str], bool],
        max_tokens: int,
        vocabulary: int,
        model: str | None = None,
        version: str | None = None,
    ) -> None:
        """
        Args:
            compose: the request's body; writes pictures as PNG, so it runs in a thread.
            is_current: whether tokens may come from weights of that version.
            max_tokens: of the turn.
            vocabulary: ids below it are tokens.
            model: that is asked for by name, as the weights of ``version``.
        """
        self._prompt = prompt
        self._compose = compose
        self._is_current = is_current
        self._max_tokens = max_tokens
        self._vocabulary = vocabulary
        self._model = model
        self._version = version
        self.stale: dict[str, str] = {}
        """Servers that sampled with weights of another version, and which."""

    async def body(self) -> Mapping[str, object]:
        return await asyncio.to_thread(self._compose)

    async def read(self, answer: Answer, exchange: Exchange) -> ServedTurn:
        """
        Raises:
            Lost: not a whole turn, or another model's.
            TurnedAway: its weights are of another version.
            PromptMismatch: it has read another prompt.
        """
        server = answer.url.removesuffix(PATH)
        try:
            generated = Generated.model_validate(answer.json())
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise Lost(
                f"not an answer of /inference/v1/generate: {place}: {first['msg']}"
            ) from error
        if difference := self._prompt.difference(generated):
            raise PromptMismatch(
                f"{server}: {difference}; the server's pixel limits differ from the trainer's: "
                "start it from the policy's own folder, or give it --mm-processor-kwargs with the "
                "size in that folder's processor_config.json"
            )
        (choice,) = generated.choices
        if choice.finish_reason not in ("stop", "length"):
            raise Lost(f"the turn ended as {choice.finish_reason!r}")
        if len(choice.token_ids) > self._max_tokens:
            raise Lost(f"{len(choice.token_ids)} tokens, and {self._max_tokens} were asked for")
        if not all(0 <= token < self._vocabulary for token in choice.token_ids):
            raise Lost(f"a token that is none of the {self._vocabulary}")
        if self._model is not None:
            return ServedTurn(url=server, choice=self._named(generated, choice))
        spans = choice.weight_versions or []
        if old := [span.version for span in spans if not self._is_current(span.version)]:
            self.stale[server] = old[0]
            raise TurnedAway(f"{server}: samples with weights of version {old[0]!r}")
        return ServedTurn(url=server, choice=choice)

    def _named(self, generated: Generated, choice: Choice) -> Choice:
        """The turn with its version; the server knows that of the base only."""
        if generated.model != self._model:
            raise Lost(f"{generated.model!r} has answered, and {self._model!r} was asked")
        assert self._version is not None
        span = VersionSpan(version=self._version, start=0, end=len(choice.token_ids))
        return choice.model_copy(update={"weight_versions": [span]})
