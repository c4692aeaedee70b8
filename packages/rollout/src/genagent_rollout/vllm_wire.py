"""vLLM's token-in-token-out endpoint: what is sent, what comes back, what must agree.

``POST /inference/v1/generate`` of vLLM 0.28 to 0.33. Pictures travel as PNG in ``content_parts``,
for which the token ids hold one pad a picture; with as many as the policy sees, the server expands
the first pad again and answers 200 with the log-probs of another prompt. So its own idea of the
prompt is asked for every time and compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from pydantic import BaseModel, Field, model_validator

from genagent_rewards import Picture
from genagent_rewards.chat_wire import data_url
from genagent_rollout.config import SamplingConfig
from genagent_rollout.record import TokenRecord

PATH = "/inference/v1/generate"


class Span(BaseModel):
    """Where a picture's tokens stand in the prompt."""

    offset: int
    length: int


class Placeholders(BaseModel):
    """Those of all pictures, in order."""

    image: list[Span] = []


class TokenLogprob(BaseModel):
    """A sampled token; up to vLLM 0.31 its id came as the text ``token_id:N``."""

    token_id: int
    logprob: float = Field(allow_inf_nan=False, le=1e-3)

    @model_validator(mode="before")
    @classmethod
    def _read_id(cls, data: Any) -> Any:
        if isinstance(data, dict) and "token_id" not in data:
            name, _, number = str(data.get("token")).partition(":")
            if name == "token_id":
                return {**data, "token_id": number}
        return data


class Logprobs(BaseModel):
    """Of each sampled token, under the distribution it was sampled from."""

    content: list[TokenLogprob]


class VersionSpan(BaseModel):
    """Sampled tokens ``start`` to ``end`` (not included) come from weights of this version."""

    version: str = Field(max_length=200)
    start: int
    end: int


class Choice(BaseModel):
    """One turn."""

    token_ids: list[int] = Field(min_length=1)
    finish_reason: str
    logprobs: Logprobs
    weight_versions: list[VersionSpan] | None = None

    @model_validator(mode="after")
    def _tokens_agree(self) -> "Choice":
        if [item.token_id for item in self.logprobs.content] != self.token_ids:
            raise ValueError("token_ids and the log-probs' tokens differ")
        return self


class Generated(BaseModel):
    """An answer."""

    model: str | None = Field(default=None, max_length=1000)
    prompt_token_ids: list[int]
    mm_placeholders: Placeholders | None = None
    choices: list[Choice] = Field(min_length=1, max_length=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """A conversation up to a turn of the agent.

    Example: with one picture of four tokens ``short_ids`` are three shorter than ``ids``, and
    ``spans`` are ``[Span(offset=46, length=4)]``.
    """

    ids: tuple[int, ...]
    """As the policy sees it."""
    short_ids: tuple[int, ...]
    """With one pad a picture."""
    spans: tuple[Span, ...]
    pictures: tuple[Picture, ...]

    @classmethod
    def of(cls, record: TokenRecord, pictures: Sequence[Picture]) -> "Prompt":
        """A conversation so far.

        Raises:
            ValueError: it has other picture tokens than those of its pictures.
        """
        pad = record.chat.image_token_id
        short_ids: list[int] = []
        spans: list[Span] = []
        for place, (token, sampled) in enumerate(zip(record.ids, record.policy, strict=True)):
            if token == pad and sampled:
                raise ValueError("the agent has written a picture token; its conversation is over")
            if token == pad and spans and place == spans[-1].offset + spans[-1].length:
                spans[-1].length += 1
                continue
            if token == pad:
                spans.append(Span(offset=place, length=1))
            short_ids.append(token)
        if len(spans) != len(pictures):
            raise ValueError(f"{len(spans)} runs of picture tokens for {len(pictures)} pictures")
        return cls(
            ids=tuple(record.ids),
            short_ids=tuple(short_ids),
            spans=tuple(spans),
            pictures=tuple(pictures),
        )

    def difference(self, generated: Generated) -> str | None:
        """Where the server read another prompt than this one; None where it did not."""
        theirs = generated.prompt_token_ids
        for place, (own, read) in enumerate(zip_longest(self.ids, theirs)):
            if own != read:
                return (
                    f"position {place} of the prompt is {_token(own)} here and {_token(read)} there"
                )
        placeholders = generated.mm_placeholders or Placeholders()
        for own, read in zip_longest(self.spans, placeholders.image):
            if own != read:
                return f"a picture's tokens are at {own or 'none'} here and {read or 'none'} there"
        return None


def request_body(
    prompt: Prompt,
    sampling: SamplingConfig,
    *,
    max_tokens: int,
    seed: int,
    stop_ids: Sequence[int],
    salt: str,
    model: str | None = None,
) -> dict[str, object]:
    """A request for one turn.

    Args:
        salt: of the server's prefix cache; where it is the weights' version, nothing that older
            weights have computed is taken for it.
        model: a name that the server knows; None: its own.
    """
    body: dict[str, object] = {
        "token_ids": prompt.short_ids,
        "sampling_params": {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "seed": seed,
            "max_tokens": max_tokens,
            "stop_token_ids": list(stop_ids),
            # Turns end with the stop ids alone, whatever the server takes for an end of sequence.
            "ignore_eos": True,
            "logprobs": 0,
            "detokenize": False,
        },
        "return_token_ids": True,
        "cache_salt": salt,
    }
    if model is not None:
        body["model"] = model
    if prompt.pictures:
        body["content_parts"] = [
            {"type": "image_url", "url": data_url(picture.image), "uuid": picture.name}
            for picture in prompt.pictures
        ]
    return body


def _token(token: int | None) -> str:
    return "missing" if token is None else str(token)
