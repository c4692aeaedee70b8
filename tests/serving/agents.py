"""A real server around an agent whose turns are written beforehand, and what it is asked."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from tests.rollout.conftest import ScriptedEngine

from genagent_data import PictureStore
from genagent_policy import Policy
from genagent_rollout import EngineConfig, SamplingConfig
from genagent_serving import (
    AgentLoop,
    AgentLoopConfig,
    build_agent_app,
    live_drawing,
    served_agent,
)
from genagent_tools import ServerConfig
from genagent_tools.server import bind, listen, server_options, url_of

GENERATIONS = "/v1/images/generations"
TOKEN = "a-token-long-enough"


def engine_of(
    policy: Policy, scripts: Sequence[Sequence[str]], *, cache_gib: float = 0.1
) -> ScriptedEngine:
    """An attempt of seed ``s`` says ``scripts[s]``."""
    return ScriptedEngine(
        policy,
        [[policy.chat.turn_ids(turn) for turn in script] for script in scripts],
        SamplingConfig(max_turn_tokens=600, max_response_tokens=2048),
        EngineConfig(cache_gib=cache_gib),
    )


class Served:
    """A server that runs, and what is behind it."""

    def __init__(self, url: str, app: Any, agents: AgentLoop) -> None:
        self.url, self.service, self.agents = url, app.state.service, agents

    def ask(self, **body: Any) -> httpx.Response:
        return httpx.post(
            self.url + GENERATIONS, json={"prompt": "two circles", **body}, timeout=300
        )

    def metric(self, name: str) -> float:
        lines = httpx.get(self.url + "/metrics").text.splitlines()
        own = [line for line in lines if line.startswith(f"genagent_agent_{name}")]
        return sum(float(line.rsplit(" ", 1)[1]) for line in own)


@contextmanager
def serving(
    engine: Any,
    tool: Any,
    folder: Path,
    *,
    size: tuple[int, int] | None = (48, 48),
    book: Any = None,
    token: str | None = None,
    problem: Any = lambda request: None,
    **agents: Any,
) -> Iterator[Served]:
    config = ServerConfig(port=0, token=token)
    listener = bind(config)
    options = AgentLoopConfig(**{"max_rounds": 2, **agents})
    drawing = live_drawing(tool, PictureStore(folder), batch=options.draw_batch)
    loop = AgentLoop(engine, drawing, options)
    served = served_agent("agent", size=size, max_prompt=400)
    app = build_agent_app(loop, served, config, book=book, problem=problem)
    server = uvicorn.Server(server_options(app))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    listen(listener)
    thread.start()
    try:
        yield Served(url_of(listener), app, loop)
    finally:
        server.should_exit = True
        thread.join()
        assert loop.stop(10)
