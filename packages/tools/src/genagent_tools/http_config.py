"""Which servers an HTTP tool asks for what, and how patiently."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from genagent_endpoints import EndpointsConfig
from genagent_tools.http_dialects import DIALECTS, Dialect, unknown_fields
from genagent_tools.tool import DrawSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpToolConfig(EndpointsConfig):
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
    url_hosts: tuple[str, ...] = ()
    """``host:port`` from which pictures may be fetched, besides the server that answered."""
    max_pixels: int = 4096 * 4096
    """Of a picture; larger ones are refused undecoded."""

    @property
    def takes_seeds(self) -> bool:
        """Whether the same prompt and seed give the same picture again; else a seed is not sent."""
        return "seed" in DIALECTS[self.dialect]

    def __post_init__(self) -> None:
        EndpointsConfig.__post_init__(self)
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
        if self.max_pixels < 1:
            raise ValueError(f"max_pixels is {self.max_pixels}; wants 1 or more")
