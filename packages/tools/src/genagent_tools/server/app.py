"""The routes: OpenAI's pictures and models, health, metrics."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from genagent_tools.server.config import ServerConfig
from genagent_tools.server.errors import ErrorBody, add_error_handlers
from genagent_tools.server.gate import Gate
from genagent_tools.server.image_request import ImageAnswer, ImageRequest, read_settings
from genagent_tools.server.metrics import RequestMetrics, ServerMetrics
from genagent_tools.server.picture_maker import PictureMaker
from genagent_tools.server.pipelines import Pipelines
from genagent_tools.server.served_model import ServedModel
from genagent_tools.server.service import ImageService
from genagent_tools.tool import DrawingTool

CLIENT_GONE = 499
"""Status in the metrics of a request whose client went away; nobody reads the answer."""

JOIN_SECONDS = 1.0
"""What a batch in hand gets to be finished when nobody waits for it any more."""

_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": text}
    for status, text in {
        400: "A field that this server does not do.",
        401: "No token, or a wrong one.",
        403: "A browser's page from elsewhere asks.",
        404: "Another model than the one served.",
        408: "The body took too long.",
        413: "The body is too large.",
        421: "The Host header names another server.",
        422: "A field of the wrong type or out of range.",
        429: "The queue is full; Retry-After says when to come back.",
        500: "The picture failed.",
        502: "What the picture is made with failed.",
        503: "The server is about to stop; Retry-After says when to come back.",
    }.items()
}
_TOKEN: dict[int | str, dict[str, Any]] = {401: _REFUSALS[401]}


def build_app(
    tools: DrawingTool | Sequence[DrawingTool], served: ServedModel, config: ServerConfig
) -> FastAPI:
    """The server of pipelines as an ASGI app.

    Raises:
        ValueError: no tool.
    """
    tools = list(tools) if isinstance(tools, Sequence) else [tools]
    if not tools:
        raise ValueError("no tool to draw with; give one for each device")
    metrics = ServerMetrics()
    pipelines = Pipelines(tools, served, config.batching, metrics)
    return build_images_app(
        pipelines,
        served,
        config,
        metrics=metrics,
        title="genagent-tools",
        description="Pictures over OpenAI's protocol, drawn in batches.",
    )


def build_images_app(
    maker: PictureMaker,
    served: ServedModel,
    config: ServerConfig,
    *,
    metrics: RequestMetrics,
    title: str,
    description: str,
    open_paths: Sequence[str] = (),
) -> FastAPI:
    """A server of pictures as an ASGI app, whoever makes them; ``app.state.service`` is the
    ImageService behind it.

    Args:
        open_paths: that ask for the token in a way of their own, with all that is below them.
    """
    service = ImageService(maker, config, metrics)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        maker.start()
        yield
        service.stop()
        await asyncio.to_thread(maker.stop, JOIN_SECONDS)

    app = FastAPI(
        title=title,
        description=description,
        lifespan=lifespan,
        # Their pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    app.add_middleware(Gate, config=config, metrics=metrics, open_paths=open_paths)
    add_error_handlers(app)
    started = int(time.time())

    @app.post("/v1/images/generations", response_model=ImageAnswer, responses=_REFUSALS)
    async def generate(body: ImageRequest, request: Request) -> Response:
        """Draw ``n`` pictures of one prompt."""
        settings = read_settings(body, served)
        seeds = body.seeds()
        pictures = await service.draw(body, seeds, settings, request)
        if pictures is None:
            return Response(status_code=CLIENT_GONE)
        asked = settings.width or served.width, settings.height or served.height
        width, height = pictures[0].size or asked
        answer = {
            "created": int(time.time()),
            "data": [
                {
                    "b64_json": picture.encoded,
                    "url": None,
                    "revised_prompt": picture.revised_prompt,
                    "seed": seed,
                    **picture.extensions,
                }
                for picture, seed in zip(pictures, seeds, strict=True)
            ],
            "model": served.name,
            "size": f"{width}x{height}",
            "output_format": "png",
        }
        return Response(json.dumps(answer), media_type="application/json")

    @app.get("/v1/models", responses=_TOKEN)
    async def models() -> dict[str, Any]:
        """The one model served: its defaults, its limits, in ``words`` how many words of a prompt
        it reads, and in ``drawn_with`` what tells its weights and settings from others of that
        name; null where that is not known."""
        defaults = {
            "size": served.size,
            "num_inference_steps": served.steps,
            "guidance": served.guidance,
        }
        limits = {
            "prompt_characters": served.max_prompt,
            "pixels": served.pixel_limit,
            "num_inference_steps": served.max_steps,
            "size_multiple": served.size_multiple,
        }
        model = {
            "id": served.name,
            "object": "model",
            "created": started,
            "owned_by": "genagent",
            "extensions": ["seed", *sorted(served.extensions)],
            "words": served.words,
            "drawn_with": served.drawn_with,
            "defaults": defaults,
            "limits": limits,
        }
        return {"object": "list", "data": [model]}

    @app.get("/healthz", responses={503: {"description": "Draining, or a worker is dead."}})
    async def health() -> JSONResponse:
        """Whether requests are taken, and how many pictures wait."""
        load = maker.load
        status = "ready" if load.alive else "broken"
        if service.draining:
            status = "draining"
        body = {"status": status, "model": served.name, "queue_depth": load.waiting}
        return JSONResponse(body, status_code=200 if status == "ready" else 503)

    @app.get("/metrics", response_class=Response, responses=_TOKEN)
    async def figures() -> Response:
        """Figures for Prometheus."""
        return Response(metrics.render(), media_type=CONTENT_TYPE_LATEST)

    return app
