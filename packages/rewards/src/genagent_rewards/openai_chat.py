"""A chat model behind one or several OpenAI-compatible endpoints: vLLM, SGLang, OpenAI, …

Which endpoint is asked, and again how often, is ``genagent_endpoints``' to say. Words that are
refused or cut off are asked for again, warmer; a request that no endpoint would take leaves its one
reply absent. Only a configuration that no endpoint accepts (401, 403, 404) stops the batch.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from PIL import Image

from genagent_endpoints import (
    Answer,
    EndpointError,
    Endpoints,
    EndpointsConfig,
    Exchange,
    Lost,
    Rejected,
    Trouble,
    Unwanted,
    together,
)
from genagent_rewards.chat import ChatReply, ChatRequest
from genagent_rewards.chat_wire import messages, pixels, read_completion

CHARACTERS_A_TOKEN = 32
"""That a reply has at most; words have four. What is longer than ``max_tokens`` of them was not
asked for, and would be kept beside each verdict."""

_PATH = "/chat/completions"
_PIXELS_AT_ONCE = 256 * 256


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenAIChatConfig(EndpointsConfig):
    """Where the model is served and how patiently it is asked.

    Example: ``OpenAIChatConfig(base_urls=("http://127.0.0.1:8000/v1",), model="Qwen3-VL-30B")``
    """

    base_urls: tuple[str, ...]
    """Each up to and with ``/v1``; all serve the same model."""
    model: str
    """The name the endpoints know it by; for ``transformers serve`` the folder's path."""
    api_key_env: str | None = "OPENAI_API_KEY"
    """Environment variable with the key; may be unset where the endpoints ask for none."""
    max_concurrency: int = 32
    timeout_seconds: float = 120.0
    deadline_seconds: float = 600.0
    max_answer_bytes: int = 8 * 1024 * 1024
    temperature: float = 0.0
    retry_temperature: float = 0.7
    """Once a reply was refused; at 0 the same words would come again."""
    refusals: tuple[int, ...] = (403,)
    max_tokens: int = 2048
    """A judge that reasons needs room: a verdict that is cut off is lost."""
    extra_body: dict[str, object] = field(default_factory=dict)
    """More fields, e.g. ``{"chat_template_kwargs": {"enable_thinking": False}}``. One that is None
    is left out, as models of OpenAI's that reason want it: ``{"max_tokens": None, "temperature":
    None, "max_completion_tokens": 8192}``."""

    def __post_init__(self) -> None:
        EndpointsConfig.__post_init__(self)
        for url in self.base_urls:
            parts = urlsplit(url)
            if not parts.path.strip("/"):
                # Else a bare 404 once everything is loaded.
                wanted = parts._replace(path="/v1").geturl()
                raise ValueError(f"base_urls has {url!r}, which has no path; wants {wanted}")
        if not self.model:
            raise ValueError("model is ''; give the name that the endpoints serve it by")
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens is {self.max_tokens}; wants at least 1")
        for name in ("temperature", "retry_temperature"):
            if not 0 <= getattr(self, name) <= 2:
                raise ValueError(f"{name} is {getattr(self, name)}; wants 0 to 2")

    @property
    def name(self) -> str:
        """The model, and a digest of the settings where they change what it says."""
        settings = {"temperature": self.temperature, **self.extra_body}
        if settings == {"temperature": 0.0}:
            return self.model
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=repr).encode())
        return f"{self.model}#{digest.hexdigest()[:8]}"


@dataclass(kw_only=True, slots=True)
class ChatCounts:
    """What a chat model has done so far. Example: ``ChatCounts(requests=8, attempts=9)``"""

    requests: int = 0
    """Of which at least one attempt was made."""
    attempts: int = 0
    """Sent to an endpoint."""
    failures: int = 0
    """Replies without text."""

    @property
    def retries(self) -> int:
        """Attempts after a request's first."""
        return self.attempts - self.requests


class OpenAIChat:
    """Batches of requests with ``max_concurrency`` in flight until the tail.

    ``reply`` may be called from any thread, also from one that runs an event loop; the bound holds
    for calls that overlap together.

    Raises:
        ValueError: the environment's proxy is none for HTTP.
    """

    def __init__(self, config: OpenAIChatConfig) -> None:
        self.config = config
        self.counts = ChatCounts()
        self._endpoints = Endpoints(config, optional_key=True)

    @property
    def name(self) -> str:
        """As its configuration's."""
        return self.config.name

    def reply(
        self,
        requests: Sequence[ChatRequest],
        *,
        accept: Callable[[str], bool],
        arrived: Callable[[int, ChatReply], None] | None = None,
    ) -> list[ChatReply]:
        """As ``ChatModel.reply``. Raises ValueError where every endpoint rejects us."""

        async def one(place: int, request: ChatRequest) -> ChatReply:
            reply = await self._reply(_Question(request, self.config, accept))
            if arrived is not None:
                arrived(place, reply)
            return reply

        work = together(one(place, request) for place, request in enumerate(requests))
        try:
            return self._endpoints.run(work)
        except Rejected as error:
            raise self._wrongly_configured(error) from error

    async def reply_one(self, request: ChatRequest, *, accept: Callable[[str], bool]) -> ChatReply:
        """As ``AsyncChatModel.reply_one``. Raises ValueError where every endpoint rejects us."""
        try:
            return await self._endpoints.join(self._reply(_Question(request, self.config, accept)))
        except Rejected as error:
            raise self._wrongly_configured(error) from error

    def check(self, *, sees: bool = True) -> None:
        """Shows each endpoint a picture and asks for a few words, before anything is at stake: a
        model that cannot see would leave every verdict absent.

        Args:
            sees: False for a model that is asked in words alone.

        Raises:
            ValueError: an endpoint does not answer; names it, its error and a remedy.
        """
        self._endpoints.run(together(self._check(url, sees) for url in self.config.base_urls))

    async def _reply(self, question: "_Question") -> ChatReply:
        text, error, raw = None, None, ""
        try:
            text, attempts = await self._endpoints.ask(_PATH, question)
            raw = text
        except Rejected:
            raise
        except EndpointError as failure:
            attempts, error = failure.attempts, str(failure)
            # Words that were refused before a server failed are no last word: it may be asked
            # again, and what has words is kept as final.
            raw = question.raw if isinstance(failure.__cause__, Unwanted) else ""
        self.counts.requests += attempts > 0
        self.counts.attempts += attempts
        self.counts.failures += text is None
        return ChatReply(text=text, attempts=attempts, model=self.name, error=error, raw=raw)

    def _wrongly_configured(self, error: Rejected) -> ValueError:
        return ValueError(
            f"no endpoint accepts requests for model {self.config.model!r} ({error}); "
            f"check base_urls, model and {self._key}"
        )

    @property
    def _key(self) -> str:
        named = self.config.api_key_env
        return f"the key in {named}" if named else "whether it wants a key, as none is named"

    async def _check(self, url: str, sees: bool) -> None:
        # 64 pixels: processors of the Qwen-VL family want two merged patches, 56, a side.
        square = Image.new("RGB", (64, 64), "red")
        asked = (square, "Is this square red? Say yes or no.") if sees else ("Say yes.",)
        request = ChatRequest(system="", parts=asked)
        question = _Question(request, self.config, lambda text: True)
        try:
            body = await question.body()
            answer = await self._endpoints.send("POST", url.rstrip("/") + _PATH, body)
            read_completion(answer)
        except (EndpointError, Trouble) as error:
            raise ValueError(
                f"{url} does not answer for model {self.config.model!r}"
                f"{' shown a picture' if sees else ''} ({error}); start it"
                f"{' with a model that takes pictures' if sees else ''}, or check URL, model and "
                f"{self._key}"
            ) from error


class _Question:
    """A request on its way to words that are accepted."""

    def __init__(
        self, request: ChatRequest, config: OpenAIChatConfig, accept: Callable[[str], bool]
    ) -> None:
        self.raw = ""
        """The last words that came."""
        self._request = request
        self._config = config
        self._accept = accept
        self._temperature = config.temperature
        self._messages: list[dict[str, object]] | None = None

    async def body(self) -> dict[str, object]:
        """As ``Question.body``."""
        if self._messages is None and pixels(self._request) > _PIXELS_AT_ONCE:
            # PNG compression of large pictures would hold up all other requests.
            self._messages = await asyncio.to_thread(messages, self._request)
        elif self._messages is None:
            self._messages = messages(self._request)
        body: dict[str, object] = {
            "model": self._config.model,
            "messages": self._messages,
            "max_tokens": self._config.max_tokens,
            "temperature": self._temperature,
            **self._config.extra_body,
        }
        return {name: value for name, value in body.items() if value is not None}

    async def read(self, answer: Answer, exchange: Exchange) -> tuple[str, int]:
        """The words, and how many attempts they took; as ``Question.read``."""
        words, reason = read_completion(answer)
        if len(words) > self._config.max_tokens * CHARACTERS_A_TOKEN:
            raise Lost(
                f"the reply has {len(words)} characters, more than {self._config.max_tokens} tokens"
            )
        self.raw = words
        if reason != "length" and self._accept(self.raw):
            return self.raw, answer.attempts
        self._temperature = self._config.retry_temperature
        if reason == "length":
            raise Unwanted(f"cut off after {self._config.max_tokens} tokens")
        raise Unwanted("the reply was refused")
