"""How an agent is served, as options. Nothing here loads torch or a web framework."""

import os
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import tyro

from genagent_tools import MAX_PROMPT

if TYPE_CHECKING:
    from genagent_tools import ServerConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class AgentLoopConfig:
    """How much an agent takes on."""

    max_rounds: int = 3
    """Pictures that it may draw for a request."""
    at_once: int = 32
    """Trajectories in progress side by side."""
    max_waiting: int = 128
    """Trajectories that may wait for their turn; more are turned away with 429."""
    draw_batch: int = 16
    """Pictures that a tool in this process draws at once; servers batch themselves."""

    def __post_init__(self) -> None:
        for name, least in (
            ("max_rounds", 1),
            ("at_once", 1),
            ("max_waiting", 0),
            ("draw_batch", 1),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; wants {least} or more")


@dataclass(frozen=True, kw_only=True, slots=True)
class AgentServerConfig:
    """Where an agent is to be found, whom it lets in, what it takes on, how it stops."""

    name: str = "genagent"
    """What clients call the model."""
    host: str = "127.0.0.1"
    """Any but a loopback address needs a token."""
    port: int = 8080
    """0 takes any that is free."""
    token_env: str | None = None
    """Environment variable that holds the token which clients and people must send."""
    allowed_hosts: tuple[str, ...] = ()
    """Names by which it may be called besides 127.0.0.1 and localhost, as by a proxy on this
    machine."""
    max_connections: int = 1000
    """Open at a time; those that wait longest for a request make room for new ones."""
    drain_seconds: float = 120.0
    """Time to finish what is in progress after SIGTERM or Ctrl-C."""
    max_prompt: int = MAX_PROMPT
    """Characters."""
    max_body: int = 1024 * 1024
    """Bytes of a request."""
    page: bool = True
    """Whether there is a page for people, under /ui; it is Gradio's."""
    agents: Annotated[AgentLoopConfig, tyro.conf.arg(name="")] = field(
        default_factory=AgentLoopConfig
    )

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ValueError("name is empty; say what clients call the model")
        if self.max_prompt < 1:
            raise ValueError(f"max_prompt is {self.max_prompt}; wants 1 or more")

    def problems(self) -> list[str]:
        """What keeps it from being served, a line each; nothing is loaded for it."""
        lines = []
        if find_spec("fastapi") is None:
            lines.append("serving wants the extra: pip install 'genagent-serving[server]'")
        elif self.page and find_spec("gradio") is None:
            lines.append(
                "the page wants Gradio: pip install 'genagent-serving[ui]', or give --no-page"
            )
        if self.token_env is not None and not self._token():
            lines.append(
                f"the environment variable {self.token_env} is not set; put the token in it"
            )
        return lines

    def listening(self) -> "ServerConfig":
        """The same as an image server has it. Raises ValueError for what cannot be."""
        from genagent_tools import ServerConfig

        return ServerConfig(
            host=self.host,
            port=self.port,
            token=self._token(),
            allowed_hosts=self.allowed_hosts,
            max_connections=self.max_connections,
            drain_seconds=self.drain_seconds,
            max_body=self.max_body,
        )

    def _token(self) -> str | None:
        return os.environ.get(self.token_env or "", "").strip() or None
