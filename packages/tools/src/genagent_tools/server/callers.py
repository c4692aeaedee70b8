"""By which names a server is called, and from which pages.

A server on loopback without a token lets in every program of the machine; a browser is one, and
runs pages from anywhere. Such a page reaches the server under a name of its own that has come to
stand for 127.0.0.1 (DNS rebinding), which the Host header tells, or by a request to 127.0.0.1,
which the Origin header tells. Only browsers send Origin, and they always send Host.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from genagent_tools.server.config import ServerConfig, is_loopback
from genagent_tools.server.errors import ApiError


def check_caller(headers: Headers, config: ServerConfig) -> None:
    """Raises ApiError where a request is not for this server or comes from another page."""
    if config.token is not None and not config.allowed_hosts:
        return
    host = headers.get("host")
    if host is not None and not _is_known(f"//{host}", config.allowed_hosts):
        raise ApiError(
            421,
            f"this server is not called {host!r:.80}; start it with --allowed-hosts if it is",
            code="unknown_host",
        )
    origin = headers.get("origin")
    if origin is not None and not _is_known(origin, config.allowed_hosts):
        raise ApiError(403, f"pages of {origin!r:.80} may not ask here", code="unknown_origin")


def _is_known(url: str, names: Sequence[str]) -> bool:
    try:
        name = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return is_loopback(name) or name in names
