"""Serve an agent until it is told to stop."""

import socket
from collections.abc import Callable
from dataclasses import dataclass

from genagent_data import PictureStore, Request
from genagent_rollout import Engine
from genagent_serving.agent_app import build_agent_app, served_agent
from genagent_serving.agent_loop import AgentLoop
from genagent_serving.feedback import FeedbackBook
from genagent_serving.live_drawing import live_drawing
from genagent_serving.serve_config import AgentServerConfig
from genagent_tools import AsyncImageTool, HttpImageTool, ImageTool
from genagent_tools.server import serve_app
from genagent_tools.tool_profile import ToolProfile


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """What became of a server."""

    figures: dict[str, float]
    """Answers, and trajectories by their ending; those of the page are among them."""
    at_rest: bool
    """Whether the agent's thread has ended. A pass of the model cannot be stopped, and the end of
    the interpreter aborts under it: leave with ``os._exit`` then."""


def serve_agent(
    engine: Engine,
    tool: ImageTool | AsyncImageTool,
    config: AgentServerConfig,
    *,
    store: PictureStore,
    book: FeedbackBook | None = None,
    problem: Callable[[Request], str | None] = lambda request: None,
    listener: socket.socket,
    on_ready: Callable[[str], None] | None = None,
) -> Served:
    """Serve until SIGTERM or SIGINT, then finish what is in progress; a second one stops at once.

    Args:
        store: where pictures are kept.
        book: takes the feedback of the page for people; None: there is no page.
        problem: what keeps a request from being answered, such as its length.
        listener: from ``genagent_tools.server.bind``.
        on_ready: told the server's URL once it listens.
    """
    drawing = live_drawing(tool, store, batch=config.agents.draw_batch)
    agents = AgentLoop(engine, drawing, config.agents)
    served = served_agent(config.name, size=picture_size(tool), max_prompt=config.max_prompt)
    app = build_agent_app(agents, served, config.listening(), book=book, problem=problem)
    at_rest = serve_app(app, listener, on_ready)
    return Served(figures=app.state.service.metrics.figures(), at_rest=at_rest)


def picture_size(tool: ImageTool | AsyncImageTool) -> tuple[int, int] | None:
    """Width and height that a tool draws, pixels; None where it does not say."""
    if isinstance(tool, HttpImageTool):
        width, height = tool.config.settings.width, tool.config.settings.height
        return None if width is None or height is None else (width, height)
    profile = getattr(tool, "profile", None)
    return (profile.width, profile.height) if isinstance(profile, ToolProfile) else None
