"""A chat model behind one or several OpenAI-compatible endpoints: vLLM, SGLang, OpenAI, …

Faults are met one request at a time: what may pass (a timeout, a lost connection, 408, 409, 429,
5xx, a body that is no completion, words that are refused or cut off) is tried again with full
jitter, elsewhere if there is an elsewhere, up to a number of attempts and a deadline; what will
not pass (400, a picture too large) leaves that one reply absent. Only a configuration that no
endpoint accepts (401, 403, 404) stops the batch.
"""

import asyncio
import contextlib
import hashlib
import json
import math
import os
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from PIL import Image

from genagent_rewards.chat import ChatReply, ChatRequest
from genagent_rewards.chat_batch import Batch, Job, Outcome
from genagent_rewards.chat_wire import messages, pixels, read_completion, retry_after
from genagent_rewards.endpoints import Endpoints, EveryEndpointRejectsError

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

Result = TypeVar("Result")

_PASSING = (408, 409, 429)
_REJECTING = (401, 403, 404)
_PIXELS_AT_ONCE = 256 * 256


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenAIChatConfig:
    """Where the model is served and how patiently it is asked.

    Example: ``OpenAIChatConfig(base_urls=("http://127.0.0.1:8000/v1",), model="Qwen3-VL-30B")``
    """

    base_urls: tuple[str, ...]
    """Each up to and with ``/v1``; all serve the same model."""
    model: str
    """The name the endpoints know it by; for ``transformers serve`` the folder's path."""
    api_key_variable: str = "OPENAI_API_KEY"
    """Environment variable with the key; unset where the endpoints ask for none."""
    max_concurrency: int = 32
    """Requests in flight, over all endpoints."""
    timeout_seconds: float = 120.0
    """Of one attempt, from its first byte to its last."""
    deadline_seconds: float = 600.0
    """Of one request with all its attempts and waits."""
    max_attempts: int = 6
    temperature: float = 0.0
    retry_temperature: float = 0.7
    """Once a reply was refused; at 0 the same words would come again."""
    max_tokens: int = 2048
    """A judge that reasons needs room: a verdict that is cut off is lost."""
    backoff_seconds: tuple[float, float] = (0.5, 30.0)
    """The first and the longest wait are drawn evenly between 0 and these."""
    quarantine_after: int = 3
    """Failures in a row that send an endpoint to rest while there is another."""
    quarantine_seconds: float = 30.0
    extra_body: dict[str, object] = field(default_factory=dict)
    """More fields of the request, e.g. ``{"chat_template_kwargs": {"enable_thinking": False}}``."""

    def __post_init__(self) -> None:
        if not self.base_urls:
            raise ValueError('base_urls is (); give one, e.g. ("http://127.0.0.1:8000/v1",)')
        for url in self.base_urls:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError(f"base_urls has {url!r}; wants e.g. http://127.0.0.1:8000/v1")
            if not parts.path.strip("/"):
                # Else a bare 404 once everything is loaded.
                wanted = parts._replace(path="/v1").geturl()
                raise ValueError(f"base_urls has {url!r}, which has no path; wants {wanted}")
            if parts.username or parts.password:
                raise ValueError(
                    f"base_urls has credentials for {parts.hostname}; put the key into the "
                    f"environment variable {self.api_key_variable}"
                )
        if len(set(self.base_urls)) < len(self.base_urls):
            raise ValueError(f"base_urls is {self.base_urls}; name each endpoint once")
        if not self.model:
            raise ValueError("model is ''; give the name that the endpoints serve it by")
        # 1000 is the connection pool of the openai client.
        if not 1 <= self.max_concurrency <= 1000:
            raise ValueError(f"max_concurrency is {self.max_concurrency}; wants 1 to 1000")
        for name in ("max_attempts", "max_tokens", "quarantine_after"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; wants at least 1")
        for name in ("timeout_seconds", "deadline_seconds", "quarantine_seconds"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} is {value}; wants a number above 0")
        for name in ("temperature", "retry_temperature"):
            if not 0 <= getattr(self, name) <= 2:
                raise ValueError(f"{name} is {getattr(self, name)}; wants 0 to 2")
        first, most = self.backoff_seconds
        if not 0 <= first <= most < math.inf:
            raise ValueError(f"backoff_seconds is {self.backoff_seconds}; wants first <= longest")


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatCounts:
    """What a chat model has done so far. Example: ``ChatCounts(requests=8, attempts=9)``"""

    requests: int = 0
    """Of which at least one attempt was made."""
    attempts: int = 0
    """Sent to an endpoint."""
    retries: int = 0
    """Attempts after a request's first."""
    failures: int = 0
    """Replies without text."""


class OpenAIChat:
    """Batches of requests with ``max_concurrency`` in flight until the tail.

    ``reply`` may be called from any thread, also from one that runs an event loop; calls that
    overlap wait for each other, so that the bound holds for all of them together.
    """

    def __init__(self, config: OpenAIChatConfig) -> None:
        self.config = config
        self.counts = ChatCounts()
        self._endpoints = Endpoints(
            config.base_urls,
            patience=config.quarantine_after,
            rest_seconds=config.quarantine_seconds,
        )
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The model, and a digest of the settings where they change what it says."""
        settings = {"temperature": self.config.temperature, **self.config.extra_body}
        if settings == {"temperature": 0.0}:
            return self.config.model
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=repr).encode())
        return f"{self.config.model}#{digest.hexdigest()[:8]}"

    def reply(
        self,
        requests: Sequence[ChatRequest],
        *,
        accept: Callable[[str], bool],
        arrived: Callable[[int, ChatReply], None] | None = None,
    ) -> list[ChatReply]:
        """As ``ChatModel.reply``. Raises ValueError where every endpoint rejects us."""
        if not requests:
            return []
        with self._lock:
            return _run(lambda: self._reply(requests, accept, arrived))

    def check(self) -> None:
        """Shows each endpoint a picture and asks for a few words, before anything is at stake: a
        model that cannot see would leave every verdict absent.

        Raises:
            ValueError: an endpoint does not answer; names it, its error and a remedy.
        """
        with self._lock:
            _run(self._check)

    async def _reply(
        self,
        requests: Sequence[ChatRequest],
        accept: Callable[[str], bool],
        arrived: Callable[[int, ChatReply], None] | None,
    ) -> list[ChatReply]:
        async with contextlib.AsyncExitStack() as stack:
            clients = await self._clients(stack)
            batch = Batch(
                requests,
                model=self.name,
                limits=self.config,
                endpoints=self._endpoints,
                prepare=_write_messages,
                send=lambda endpoint, job: self._send(clients[endpoint.url], job),
                accept=accept,
                arrived=arrived,
            )
            try:
                replies = await batch.run()
            except EveryEndpointRejectsError as error:
                raise ValueError(
                    f"no endpoint accepts requests for model {self.config.model!r} ({error}); "
                    f"check base_urls, model and the key in {self.config.api_key_variable}"
                ) from error
            finally:
                self._count(batch)
        return replies

    async def _check(self) -> None:
        # 64 pixels: processors of the Qwen-VL family want two merged patches, 56, a side.
        square = Image.new("RGB", (64, 64), "red")
        request = ChatRequest(system="", parts=(square, "Is this square red? Say yes or no."))
        async with contextlib.AsyncExitStack() as stack:
            clients = await self._clients(stack)
            deadline = asyncio.get_running_loop().time() + self.config.timeout_seconds
            for url, client in clients.items():
                job = Job(index=0, request=request, deadline=deadline)
                await _write_messages(job)
                outcome = await self._send(client, job)
                if outcome.fate not in ("answered", "cut_off"):
                    raise ValueError(
                        f"{url} does not answer for model {self.config.model!r} "
                        f"shown a picture ({outcome.error}); start it with a model that takes "
                        f"pictures, or check URL, model and the key in "
                        f"{self.config.api_key_variable}"
                    )

    async def _clients(self, stack: contextlib.AsyncExitStack) -> "dict[str, AsyncOpenAI]":
        from openai import AsyncOpenAI

        # The client wants some key even where the endpoint does not.
        key = os.environ.get(self.config.api_key_variable) or "none"
        return {
            url: await stack.enter_async_context(
                AsyncOpenAI(base_url=url, api_key=key, max_retries=0, timeout=None)
            )
            for url in self.config.base_urls
        }

    async def _send(self, client: "AsyncOpenAI", job: Job) -> Outcome:
        """One attempt; its failure is an outcome."""
        import openai

        config = self.config
        remaining = job.deadline - asyncio.get_running_loop().time()
        seconds = max(min(config.timeout_seconds, remaining), 0.001)
        body = {
            "model": config.model,
            "messages": job.messages,
            "max_tokens": config.max_tokens,
            "temperature": config.retry_temperature if job.refusals else config.temperature,
            **config.extra_body,
        }
        try:
            # The client's own timeout starts again with each byte; a trickle would outlast it.
            async with asyncio.timeout(seconds):
                # The typed method walks through all of the body, a third of a request's time, and
                # lets malformed answers through.
                answer = await client.post("/chat/completions", body=body, cast_to=object)
            text, reason = read_completion(answer)
        except openai.APIStatusError as error:
            return _status_outcome(error)
        except (TimeoutError, openai.APITimeoutError):
            return Outcome(fate="failed", error=f"no answer within {seconds:.3g} s")
        except openai.APIConnectionError as error:
            return Outcome(fate="failed", error=f"{error} {error.__cause__ or ''}".strip())
        except (ValueError, RecursionError) as error:
            return Outcome(fate="failed", error=f"the answer is not readable: {error}")
        if reason == "length":
            error = f"cut off after {config.max_tokens} tokens"
            return Outcome(fate="cut_off", text=text, error=error)
        return Outcome(fate="answered", text=text)

    def _count(self, batch: Batch) -> None:
        now = self.counts
        tried = [job for job in batch.jobs if job.attempts]
        attempts = sum(job.attempts for job in tried)
        failures = sum(1 for reply in batch.replies.values() if reply.text is None)
        self.counts = ChatCounts(
            requests=now.requests + len(tried),
            attempts=now.attempts + attempts,
            retries=now.retries + attempts - len(tried),
            failures=now.failures + failures,
        )


async def _write_messages(job: Job) -> None:
    # PNG compression of large pictures would hold up all other requests.
    is_large = pixels(job.request) > _PIXELS_AT_ONCE
    encoding = asyncio.to_thread(messages, job.request) if is_large else None
    job.messages = messages(job.request) if encoding is None else await encoding


def _status_outcome(error: "APIStatusError") -> Outcome:
    words = " ".join(error.message.split())[:500]
    status = error.status_code
    if status in _PASSING or status >= 500:
        return Outcome(fate="failed", error=words, retry_after=retry_after(error.response.headers))
    return Outcome(fate="rejected" if status in _REJECTING else "invalid", error=words)


def _run(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Runs to the end on an event loop of its own; on another thread where this one has a loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work())
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(lambda: asyncio.run(work())).result()
