"""Which servers an HTTP tool asks for what, and how patiently."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from genagent_tools.http_dialects import DIALECTS, Dialect, unknown_fields
from genagent_tools.tool import DrawSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpToolConfig:
    """Which servers are asked for what, and how patiently."""

    base_urls: tuple[str, ...] = ("http://127.0.0.1:8000",)
    """Servers of the same model; a trailing ``/v1`` is understood."""
    model: str | None = None
    dialect: Dialect = "genagent"
    """Whose protocol it is: it decides which fields may be sent."""
    settings: DrawSettings = field(default_factory=DrawSettings)
    """What is None is left to the server."""
    true_cfg: float | None = None
    """Classifier-free guidance, sent as ``true_cfg_scale``; guidance goes as guidance_scale."""
    extra: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    """Fields added to every request."""
    api_key_env: str | None = None
    """Environment variable that holds the bearer token."""
    max_concurrency: int = 64
    """Requests on their way at a time."""
    timeout_seconds: float = 300.0
    """For one request, queueing at the server included."""
    deadline_seconds: float = 1800.0
    """For one picture, retries included."""
    attempts: int = 6
    """Failures that end a picture. A server that says when to come back has not failed."""
    backoff_seconds: float = 0.5
    """Upper end of the first pause after a failure; it doubles from failure to failure."""
    max_backoff_seconds: float = 30.0
    quarantine_after: int = 3
    """Pictures that a server fails in a row before it is left alone."""
    quarantine_seconds: float = 10.0
    url_hosts: tuple[str, ...] = ()
    """``host:port`` from which pictures may be fetched, besides the server that answered."""
    max_pixels: int = 4096 * 4096
    """Of a picture; larger ones are refused undecoded."""
    max_answer_bytes: int = 128 * 1024 * 1024

    def __post_init__(self) -> None:
        if not self.base_urls:
            raise ValueError("base_urls is empty; give one server at least")
        for url in self.base_urls:
            if not _is_http(url):
                raise ValueError(f"base URL {url!r} cannot be used; wants http://host:port")
            if self.api_key_env is not None and urlsplit(url).username is not None:
                raise ValueError("a base URL names a user and api_key_env a token; give one")
        if self.dialect not in DIALECTS:
            raise ValueError(f"dialect is {self.dialect!r}; known: {', '.join(DIALECTS)}")
        lacking = unknown_fields(self.dialect, self.settings, true_cfg=self.true_cfg)
        if lacking:
            raise ValueError(
                f"dialect {self.dialect!r} has no {', '.join(lacking)}; leave it out or choose "
                "another dialect"
            )
        if (self.settings.width is None) != (self.settings.height is None):
            raise ValueError("width and height go together; give both or none")
        counts = ("max_concurrency", "attempts", "quarantine_after", "max_pixels")
        for name in (*counts, "max_answer_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; wants 1 or more")
        for name in ("timeout_seconds", "deadline_seconds", "max_backoff_seconds"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}; wants more than 0")
        for name in ("backoff_seconds", "quarantine_seconds"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}; wants a number of 0 or more")


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # Looking a host up fails with a ValueError of the codec where it cannot be a name.
        host = (parts.hostname or "").encode("idna")
        return parts.scheme in ("http", "https") and bool(host) and parts.port != 0
    except ValueError:
        return False
