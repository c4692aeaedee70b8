"""A tool whose pictures say what they were drawn from, a real server around it, its clients."""

import base64
import io
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn
from PIL import Image
from tests import picture_server

from genagent_tools import (
    BatchConfig,
    DrawSettings,
    ServedModel,
    ServerConfig,
    ToolError,
    build_app,
)
from genagent_tools.server import bind, listen, server_options, url_of

SERVED = ServedModel(
    name="painter",
    width=16,
    height=16,
    steps=4,
    extensions=frozenset({"size", "num_inference_steps", "guidance_scale", "negative_prompt"}),
    max_prompt=200,
)

PLAIN = DrawSettings()

GENERATIONS = "/v1/images/generations"
TOKEN = "a-token-long-enough"


def paint(prompt: str, seed: int, settings: DrawSettings = PLAIN) -> Image.Image:
    """As the picture server draws where nothing is set, else by the settings; larger ones repeat
    the pixels."""
    picture = picture_server.paint(prompt, seed, *([] if settings == PLAIN else [settings]))
    return picture.resize((settings.width or 16, settings.height or 16), Image.Resampling.NEAREST)


class Painter:
    """Draws at once, or when ``go`` is set; "bad" prompts fail, and their batch with them."""

    def __init__(self, *, waiting: bool = False) -> None:
        self.go = threading.Event()
        self.busy = threading.Event()
        """A batch has arrived."""
        self.batches: list[tuple[list[str], DrawSettings]] = []
        self.callers: set[int] = set()
        if not waiting:
            self.go.set()

    def draw(
        self, prompts: Sequence[str], seeds: Sequence[int], settings: DrawSettings
    ) -> list[Image.Image]:
        self.callers.add(threading.get_ident())
        self.batches.append((list(prompts), settings))
        self.busy.set()
        assert self.go.wait(60)
        for prompt in prompts:
            if prompt.startswith("bad"):
                raise ToolError(f"cannot draw {prompt}")
            if prompt.startswith("strange"):
                raise KeyError(prompt)
        return [paint(p, s, settings) for p, s in zip(prompts, seeds, strict=True)]


@contextmanager
def serving(
    tools,
    served: ServedModel = SERVED,
    *,
    batching: BatchConfig | None = None,
    port: int = 0,
    **config,
) -> Iterator[str]:
    """The server's URL while the block runs."""
    config = ServerConfig(port=port, batching=batching or BatchConfig(), **config)
    listener = bind(config)
    app = build_app(tools, served, config)
    server = uvicorn.Server(server_options(app))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    # Listening from here on, so that nobody has to wait for the thread.
    listen(listener)
    thread.start()
    try:
        yield url_of(listener)
    finally:
        server.should_exit = True
        thread.join()


def pixels_of(encoded: str) -> bytes:
    """The pixels of a base64 PNG."""
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
        return picture.convert("RGB").tobytes()


def ask(url: str, **body: Any) -> httpx.Response:
    return httpx.post(url + GENERATIONS, json={"prompt": "a circle", **body}, timeout=60)


def pictures(answer: httpx.Response) -> list[bytes]:
    """The pixels of an answer's pictures."""
    assert answer.status_code == 200, answer.text
    return [pixels_of(entry["b64_json"]) for entry in answer.json()["data"]]


def metric(url: str, name: str) -> float:
    """The sum of all figures whose names begin so."""
    lines = httpx.get(url + "/metrics").text.splitlines()
    own = [line for line in lines if line.startswith(f"genagent_tools_{name}")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in own)
