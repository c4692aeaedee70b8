"""The agent's server: an image server whose pictures an agent makes, and a page beside it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from genagent_data import Request
from genagent_serving.agent_metrics import AgentMetrics
from genagent_serving.agent_pictures import AgentPictures
from genagent_tools import ServedModel, ServerConfig
from genagent_tools.server import build_images_app

if TYPE_CHECKING:
    from fastapi import FastAPI

    from genagent_serving.agent_loop import AgentLoop
    from genagent_serving.feedback import FeedbackBook


def build_agent_app(
    agents: "AgentLoop",
    served: ServedModel,
    config: ServerConfig,
    *,
    book: "FeedbackBook | None" = None,
    problem: Callable[[Request], str | None] = lambda request: None,
) -> "FastAPI":
    """The server as an ASGI app.

    Args:
        served: from ``served_agent``.
        book: takes the feedback of a page for people; None: there is no page.
        problem: what keeps a request from being answered, besides what no agent can read.
    """
    metrics = AgentMetrics()
    pictures = AgentPictures(agents, metrics, problem=problem)
    pages: tuple[str, ...] = ()
    if book is not None:
        from genagent_serving.feedback_page import PAGE

        # The page has a login of its own; its pages carry no Authorization header.
        pages = ("/", PAGE)
    app = build_images_app(
        pictures,
        served,
        config,
        metrics=metrics,
        title="genagent",
        description="Pictures over OpenAI's protocol, drawn by an agent that looks at them.",
        open_paths=pages,
    )
    if book is not None:
        from genagent_serving.feedback_page import mount_page

        mount_page(app, pictures, book, served, config)
    return app


def served_agent(name: str, *, size: tuple[int, int] | None, max_prompt: int) -> ServedModel:
    """What clients may ask of an agent.

    Args:
        size: of its tool's pictures, pixels; None where that is not known.
    """
    width, height = size or (None, None)
    return ServedModel(
        name=name,
        width=width,
        height=height,
        extensions=frozenset({"rounds"}),
        size_multiple=1,
        max_prompt=max_prompt,
    )
