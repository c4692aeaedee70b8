"""What every request passes before the app sees it: names, token, the limits of its body."""

import asyncio
import contextlib
import hmac
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from genagent_tools.server.callers import check_caller
from genagent_tools.server.config import ServerConfig
from genagent_tools.server.errors import ApiError
from genagent_tools.server.metrics import RequestMetrics

OPEN_PATHS = ("/healthz",)
"""Answered without a token, for load balancers."""

COUNTED_PATHS = ("/v1/images/generations",)


class Gate:
    """ASGI middleware; a body is read whole, within limits, before the app is called."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        config: ServerConfig,
        metrics: RequestMetrics,
        open_paths: Sequence[str] = (),
    ) -> None:
        """
        Args:
            open_paths: answered without a token, with all that is below them.
        """
        self._app = app
        self._config = config
        self._metrics = metrics
        self._open = frozenset((*OPEN_PATHS, *open_paths))
        self._below = tuple(f"{path}/" for path in open_paths if path != "/")
        self._token = config.token and f"Bearer {config.token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"a connection of kind {scope['type']!r}; wants http")

        async def counting_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.requests.labels(status=message["status"]).inc()
            await send(message)

        send_out: Send = counting_send if scope["path"] in COUNTED_PATHS else send
        try:
            check_caller(Headers(scope=scope), self._config)
            self._check_token(scope)
            body = await self._read_body(scope, receive)
        except ApiError as error:
            await self._refuse(error, scope, receive, send_out)
            return
        if body is None:
            return
        pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return pending.pop() if pending else await receive()

        await self._app(scope, replay, send_out)

    def _check_token(self, scope: Scope) -> None:
        path = scope["path"]
        if not self._token or path in self._open or path.startswith(self._below):
            return
        given = dict(scope["headers"]).get(b"authorization", b"")
        if not hmac.compare_digest(given, self._token):
            raise ApiError(
                401, "send this server's token as Authorization: Bearer", code="invalid_api_key"
            )

    async def _read_body(self, scope: Scope, receive: Receive) -> bytes | None:
        """The whole body, or None where the client went away in its midst."""
        limit = self._config.max_body
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        # Python reads no number of 5,000 digits.
        if not declared.isdigit() or len(declared) > 20 or int(declared) > limit:
            raise self._too_large()
        body = bytearray()
        try:
            async with asyncio.timeout(self._config.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    body += message.get("body", b"")
                    # Chunks declare no length: count what comes.
                    if len(body) > limit:
                        raise self._too_large()
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            raise ApiError(
                408, f"the body did not arrive within {self._config.body_seconds:g} s"
            ) from None

    async def _refuse(self, error: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
        """The answer, and where a body is on its way time to hear it: a connection that is closed
        meanwhile is reset, and the answer goes down with it."""
        response = error.response()
        headers = Headers(scope=scope)
        is_coming = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
        if not is_coming or error.status == 408:
            await response(scope, receive, send)
            return
        response.headers["connection"] = "close"

        async def send_open(message: Message) -> None:
            is_body = message["type"] == "http.response.body"
            await send({**message, "more_body": True} if is_body else message)

        await response(scope, receive, send_open)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._config.body_seconds):
                while (await receive()).get("more_body", False):
                    pass
        await send({"type": "http.response.body"})

    def _too_large(self) -> ApiError:
        return ApiError(
            413, f"the body is over {self._config.max_body} bytes", code="request_too_large"
        )
