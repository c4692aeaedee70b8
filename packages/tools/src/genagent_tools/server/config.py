"""How a server listens and what it puts up with."""

import ipaddress
from dataclasses import dataclass, field

from genagent_tools.server.batch_queue import BatchConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerConfig:
    """Where to listen, whom to let in, how to stop."""

    host: str = "127.0.0.1"
    """Any but a loopback address needs a token."""
    port: int = 8000
    """0 takes any that is free."""
    token: str | None = field(default=None, repr=False)
    """What clients send as ``Authorization: Bearer``; None lets everybody in."""
    batching: BatchConfig = field(default_factory=BatchConfig)
    drain_seconds: float = 60.0
    """Time for the queue to empty after SIGTERM."""
    max_body: int = 1024 * 1024
    """Bytes of a request."""
    body_seconds: float = 30.0
    """Time for a request's bytes to arrive."""
    head_seconds: float = 10.0
    """Time for a request's line and headers to arrive, and of a new connection without any."""
    max_connections: int = 1000
    """Open at a time, and at most half of the files that the process may have open."""
    allowed_hosts: tuple[str, ...] = ()
    """Names by which it may be called, as a proxy on this machine calls it, besides those of
    loopback. With a token and without these it may be called by any."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port is {self.port}; wants 0 to 65535")
        for name in ("drain_seconds", "body_seconds", "head_seconds"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}; wants a number of 0 or more")
        for name in ("max_body", "max_connections"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; wants 1 or more")
        for name in self.allowed_hosts:
            if not name or name != name.lower() or any(sign in name for sign in "/:*"):
                raise ValueError(
                    f"allowed_hosts has {name!r}; wants a name as example.org, without a port"
                )
        if self.token is not None and not (self.token.isascii() and self.token.isprintable()):
            raise ValueError("the token holds characters that no header does; use plain ASCII")
        if self.token is not None and len(self.token) < 16:
            raise ValueError(f"the token has {len(self.token)} characters; wants 16 or more")
        if self.token is None and not self.is_loopback:
            raise ValueError(
                f"host {self.host} can be reached from other machines; give a token, or listen on "
                "127.0.0.1"
            )

    @property
    def is_loopback(self) -> bool:
        """Only this machine can connect."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether a name or an address stands for this machine itself."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        # Some other name: what it stands for is known to DNS, which is not to be trusted here.
        return False
