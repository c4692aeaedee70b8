"""Which servers are asked, and how patiently."""

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from genagent_endpoints.address import has_credentials, public_url


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointsConfig:
    """Servers of one kind, any of which can answer any request.

    Example: ``EndpointsConfig(base_urls=("http://gpu1:8000", "http://gpu2:8000"))``
    """

    base_urls: tuple[str, ...]
    """Each without a user, a password or a query."""
    api_key_env: str | None = None
    """Environment variable that holds the bearer token; a value that begins with ``Basic`` or
    another scheme is sent as it is."""
    max_concurrency: int = 64
    """Requests in flight, over all servers."""
    timeout_seconds: float = 300.0
    """Of one attempt, from its first byte to its last, queueing at the server included."""
    deadline_seconds: float = 1800.0
    """Of one request with all its attempts and waits. Waiting for a place among
    ``max_concurrency`` does not count, waiting for a server that does not rest does."""
    max_attempts: int = 6
    """Failures that end a request. A server that says when to come back has not failed."""
    waits_for_return: bool = False
    """Whether servers that nobody listens at are waited for until the deadline, and a connection
    that none of them takes is no failure; for what cannot go on without an answer."""
    backoff_seconds: tuple[float, float] = (0.5, 30.0)
    """The first and the longest pause after a failure are drawn evenly between 0 and these."""
    quarantine_after: int = 3
    """Requests in a row that a server fails before it rests."""
    quarantine_seconds: float = 10.0
    """Its rest, after which it gets one request; the others follow if that one is answered."""
    refusals: tuple[int, ...] = ()
    """Statuses that turn away the one request, and not all of ours: 403 of a gateway that filters
    what it is shown."""
    max_answer_bytes: int = 128 * 1024 * 1024
    """Of one answer, as it comes and as it is unpacked."""

    def __post_init__(self) -> None:
        if not self.base_urls:
            raise ValueError("base_urls is empty; give one, e.g. http://127.0.0.1:8000")
        for url in self.base_urls:
            if not _is_http(url):
                raise ValueError(
                    f"base_urls has {public_url(url)!r}, which cannot be used; wants "
                    "http://host:port"
                )
            parts = urlsplit(url)
            if has_credentials(url) or parts.query or parts.fragment:
                raise ValueError(
                    f"base_urls has credentials or a query for {parts.hostname}; put a token into "
                    "an environment variable and name that "
                    f"({self.api_key_env or 'api_key_env'})"
                )
        if len(set(self.base_urls)) < len(self.base_urls):
            raise ValueError(f"base_urls is {self.base_urls}; name each server once")
        for name in ("max_concurrency", "max_attempts", "quarantine_after", "max_answer_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; wants 1 or more")
        for name in ("timeout_seconds", "deadline_seconds", "quarantine_seconds"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}; wants a number above 0")
        first, longest = self.backoff_seconds
        if not 0 <= first <= longest < float("inf"):
            raise ValueError(f"backoff_seconds is {self.backoff_seconds}; wants first <= longest")


def authorization(variable: str | None, *, optional: bool = False) -> str | None:
    """The Authorization header that the environment variable stands for.

    Raises:
        ValueError: it is not set, and not optional, or holds what no header can.
    """
    key = "" if variable is None else os.environ.get(variable, "").strip()
    if not key and variable is not None and not optional:
        raise ValueError(f"the environment variable {variable} is not set; put the token in it")
    if not (key.isascii() and key.isprintable()):
        raise ValueError(f"the environment variable {variable} holds what is no token")
    return (key if " " in key else f"Bearer {key}") if key else None


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # Looking a host up fails with a ValueError of the codec where it cannot be a name.
        host = (parts.hostname or "").encode("idna")
        return parts.scheme in ("http", "https") and bool(host) and parts.port != 0
    except ValueError:
        return False
