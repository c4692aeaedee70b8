"""Run the server until it is told to stop, and stop it without losing a request."""

import gc
import socket
import sys
from collections.abc import Callable, Sequence
from types import FrameType

import uvicorn
from fastapi import FastAPI

from genagent_tools.server.app import build_app
from genagent_tools.server.config import ServerConfig
from genagent_tools.server.connection import bounded_protocol
from genagent_tools.server.served_model import ServedModel
from genagent_tools.server.service import ImageService
from genagent_tools.tool import DrawingTool

_BACKLOG = 2048
"""Connections that the kernel keeps until they are taken, as uvicorn has it."""


def serve(
    tools: DrawingTool | Sequence[DrawingTool],
    served: ServedModel,
    config: ServerConfig,
    *,
    listener: socket.socket | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> bool:
    """Serve until SIGTERM or SIGINT, then finish what is queued and return.

    From the signal on, new requests get 503; a second signal stops at once.

    Returns:
        Whether all pipelines are at rest. One that still draws cannot be stopped, and the end of
        the interpreter aborts under it: leave with ``os._exit`` then.

    Args:
        tools: one, or one for each device; each is called from one thread only.
        listener: from ``bind``, where the port was to be had before the tools were loaded.
        on_ready: told the server's URL once it listens.

    Raises:
        ValueError: no tool, or the address is not to be had.
    """
    app = build_app(tools, served, config)
    return serve_app(app, listener or bind(config), on_ready)


def serve_app(
    app: FastAPI, listener: socket.socket, on_ready: Callable[[str], None] | None = None
) -> bool:
    """Serve an app of ``build_images_app`` in the same way; whether its maker is at rest."""
    service: ImageService = app.state.service
    # The pipeline's thread lets the interpreter go at every kernel, and by default waits up to 5 ms
    # to have it back from a busy event loop: 1.7 times the seconds a picture; at 0.5 ms, 1.35.
    sys.setswitchinterval(0.0005)
    # What is loaded by now stays. Going through it for garbage stops everything for 0.3 s, every
    # thousand requests.
    gc.collect()
    gc.freeze()
    try:
        listen(listener)
        _DrainingServer(server_options(app), service, on_ready).run(sockets=[listener])
    finally:
        gc.unfreeze()
    return service.maker.stop(0.0)


def server_options(app: FastAPI) -> uvicorn.Config:
    """How uvicorn serves an app of ``build_images_app``."""
    service: ImageService = app.state.service
    return uvicorn.Config(
        app,
        http=bounded_protocol(service.config),
        # There is none here; a connection that is upgraded would have passed the gate.
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        # Longer than clients keep an idle connection, so that theirs never closes as they use it.
        timeout_keep_alive=75,
        # Requests have had their time when uvicorn is told to stop.
        timeout_graceful_shutdown=2,
    )


def bind(config: ServerConfig) -> socket.socket:
    """Take the port, so that one in use is known before a model is loaded.

    Raises:
        ValueError: the address is not to be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            config.host, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            # Else another server that is started now takes the port too, and loads its model in
            # vain; ``listen`` sets it again, for the next start.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise _taken(f"{config.host}:{config.port}", error) from error
    return listener


def listen(listener: socket.socket) -> None:
    """Let connections in. Raises ValueError where the address has been taken meanwhile."""
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.listen(_BACKLOG)
    except OSError as error:
        raise _taken(url_of(listener).removeprefix("http://"), error) from error


def _taken(address: str, error: OSError) -> ValueError:
    return ValueError(
        f"cannot listen on {address} ({error.strerror or error}); choose another --host or --port"
    )


def url_of(listener: socket.socket) -> str:
    """Where a listening socket is to be found."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _DrainingServer(uvicorn.Server):
    """uvicorn closes its socket at the first signal; this one first answers 503 for a while."""

    def __init__(
        self,
        config: uvicorn.Config,
        service: ImageService,
        on_ready: Callable[[str], None] | None,
    ) -> None:
        super().__init__(config)
        self._service = service
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self._on_ready is not None and sockets and not self.should_exit:
            self._on_ready(url_of(sockets[0]))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # uvicorn's own would raise the signal again at the end, and the exit code would not be 0.
        if self._service.draining:
            self.should_exit = self.force_exit = True
        self._service.drain()

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self._service.drained

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._service.stop()
        await super().shutdown(sockets=sockets)
