"""A real HTTP server that speaks vLLM's endpoints and samples by a formula instead of a model."""

import asyncio
import base64
import io
import random
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from PIL import Image
from tests.rollout.fake_workers import Workers

from genagent_policy import ChatFormat

Fault = str | None
"""Of a request for a turn: dies, hangs, aborts, lies about its tokens, samples with the base if an
adapter is asked; None: none."""


def spoken(version: str, ids: Sequence[int], seed: int, stop: int) -> list[int]:
    """A turn of weights of that version after these ids."""
    rng = random.Random(f"{version} {list(ids)} {seed}")
    return [*(rng.randrange(20, 200) for _ in range(rng.randrange(2, 7))), stop]


def logprob(token: int) -> float:
    return -(token % 7) / 10


class FakeVllm:
    """What one server is like, and what it has been asked."""

    def __init__(
        self,
        chat: ChatFormat,
        *,
        shape: str = "0.33",
        scale_out: bool = True,
        dev_mode: bool = True,
        processed: bool = True,
        lora: bool = True,
        workers: int = 1,
        port: int = 0,
        fault: Callable[[int], Fault] = lambda number: None,
    ) -> None:
        self.chat = chat
        self.shape = shape
        self.scale_out, self.dev_mode, self.processed = scale_out, dev_mode, processed
        self.lora = lora
        self.port = port
        self.workers = Workers(workers)
        self.fault = fault
        self.version = "default"
        self.adapters: dict[str, Path] = {}
        self.held = 0
        """How often a reset still fails because blocks are held."""
        self.refuses_weights = False
        self.fails_at = ""
        """A control path that answers 500."""
        self.hangs_at = ""
        """A control path that does not answer."""
        self.calls: list[str] = []
        """Paths with what is asked of them behind a question mark."""
        self.bodies: list[dict[str, Any]] = []
        self.sessions: list[str | None] = []
        self.pictures: list[bytes] = []
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._runner: web.AppRunner | None = None
        self._going = asyncio.Event()
        self._going.set()

    async def generate(self, request: web.Request) -> web.Response:
        if not self.scale_out:
            message = "Scale-out endpoints are disabled. Restart vllm serve with --enable-scale-out"
            return web.json_response({"error": {"message": message}}, status=403)
        body = await request.json()
        if "return_token_ids" not in body:
            await self._going.wait()
            return web.json_response(self._probe(body))
        model = body.get("model", "policy")
        if model not in ("policy", *self.adapters):
            message = f"The model `{model}` does not exist."
            return web.json_response({"error": {"message": message}}, status=404)
        fault = self.fault(len(self.bodies))
        self.bodies.append(body)
        await self._going.wait()
        self.sessions.append(request.headers.get("X-Session-ID"))
        if fault == "dies":
            assert request.transport is not None
            request.transport.abort()
        if fault == "hangs":
            await asyncio.sleep(60)
        return web.json_response(self._turn(body, fault))

    def _turn(self, body: dict[str, Any], fault: Fault) -> dict[str, Any]:
        ids, spans = self._expanded(body)
        params = body["sampling_params"]
        seed = params["seed"] if params["temperature"] else 0
        model = body.get("model", "policy")
        version = self.version if model == "policy" else model
        tokens = spoken(version, ids, seed, self.chat.turn_end_id)[: params["max_tokens"]]
        if fault == "aborts":
            tokens = tokens[:1]
        said = [token + 1 for token in tokens] if fault == "lies" else tokens
        reason = "stop" if tokens[-1] in params["stop_token_ids"] else "length"
        choice: dict[str, Any] = {
            "index": 0,
            "token_ids": tokens,
            "finish_reason": "abort" if fault == "aborts" else reason,
            "logprobs": {"content": [self._named(token) for token in said]},
        }
        if self.shape == "0.33":
            span = {"version": self.version, "start": 0, "end": len(tokens)}
            choice["weight_versions"] = [span]
        placeholders = {"image": spans} if spans else None
        return {
            "model": "policy" if fault == "base" else model,
            "prompt_token_ids": ids,
            "mm_placeholders": placeholders,
            "choices": [choice],
        }

    def _named(self, token: int) -> dict[str, Any]:
        if self.shape == "0.33":
            return {"token_id": token, "logprob": logprob(token), "rank": 1, "top_logprobs": []}
        return {"token": f"token_id:{token}", "logprob": logprob(token), "bytes": None}

    def _expanded(self, body: dict[str, Any]) -> tuple[list[int], list[dict[str, int]]]:
        """Each pad becomes as many as its picture takes, as vLLM does it."""
        parts = iter(body.get("content_parts", []))
        ids: list[int] = []
        spans: list[dict[str, int]] = []
        for token in body["token_ids"]:
            if token != self.chat.image_token_id or (part := next(parts, None)) is None:
                ids.append(token)
                continue
            png = base64.b64decode(part["url"].removeprefix("data:image/png;base64,"))
            self.pictures.append(png)
            with Image.open(io.BytesIO(png)) as image:
                _, grids = self.chat.encode_pictures([image])
            length = int(grids[0].prod()) // self.chat.merge_size**2
            spans.append({"offset": len(ids), "length": length})
            ids += [token] * length
        return ids, spans

    def _probe(self, body: dict[str, Any]) -> dict[str, Any]:
        scale = body["sampling_params"]["temperature"] if self.processed else 1.0
        tokens = [{"token_id": n, "logprob": -n / scale} for n in (7, 1, 3)]
        return {"choices": [{"logprobs": {"content": [tokens[0] | {"top_logprobs": tokens}]}}]}

    async def control(self, request: web.Request) -> web.Response:
        path = request.path
        if not self.dev_mode:
            return web.json_response({"detail": "Not Found"}, status=404)
        self.calls.append(request.path_qs)
        while path == self.hangs_at:
            await asyncio.sleep(0.05)
        if path == self.fails_at:
            return web.json_response({"error": {"message": "out of memory"}}, status=500)
        if path in Workers.PATHS:
            return await self.workers.answer(path, request)
        if path == "/weight_info":
            return web.json_response({"weight_version": self.version})
        if path in ("/pause", "/resume"):
            (self._going.clear if path == "/pause" else self._going.set)()
        if path == "/collective_rpc":
            body = await request.json()
            folder = Path(body["kwargs"]["weights_path"])
            if self.refuses_weights or not (folder / "model.safetensors").is_file():
                return web.json_response({"error": {"message": "no such weights"}}, status=500)
        if path == "/reset_prefix_cache" and self.held:
            self.held -= 1
            return web.json_response({"success": False})
        if path == "/update_weight_version":
            self.version = (await request.json())["new_version"]
        return web.json_response({"success": True})

    async def adapter(self, request: web.Request) -> web.Response:
        if not self.lora:
            return web.json_response({"detail": "Not Found"}, status=404)
        self.calls.append(request.path)
        body = await request.json()
        name, status, message = body["lora_name"], 200, "Success"
        if request.path == "/v1/unload_lora_adapter":
            if self.adapters.pop(name, None) is None:
                status, message = 404, f"The lora adapter '{name}' cannot be found."
        elif name in self.adapters:
            status, message = 400, f"The lora adapter '{name}' has already been loaded."
        elif self.refuses_weights:
            status, message = 500, "LoRA rank 32 is greater than max_lora_rank 16."
        elif not (Path(body["lora_path"]) / "adapter_config.json").is_file():
            status, message = 404, f"Loading lora {name} failed: No adapter found for it"
        else:
            self.adapters[name] = Path(body["lora_path"])
        if status == 200:
            return web.Response(text=message)
        return web.json_response({"error": {"message": message}}, status=status)

    def hold(self) -> None:
        """Turns wait, those that are asked for from now on included."""
        self._loop.call_soon_threadsafe(self._going.clear)

    def release(self) -> None:
        self._loop.call_soon_threadsafe(self._going.set)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _start(self) -> None:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/inference/v1/generate", self.generate)
        app.router.add_post("/v1/{action:(un)?load_lora_adapter}", self.adapter)
        app.router.add_route("*", "/{path:.*}", self.control)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        port = int(self.url.rpartition(":")[2] or self.port)
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    def stop(self) -> None:
        """Nobody listens any more."""
        if self._runner is not None:
            self._run(self._runner.cleanup())
            self._runner = None

    def start_again(self) -> None:
        """With the weights that it was first started with."""
        self.version, self.adapters = "default", {}
        self._run(self._start())

    @contextmanager
    def running(self) -> Iterator["FakeVllm"]:
        thread = threading.Thread(target=self._loop.run_forever)
        thread.start()
        try:
            self._run(self._start())
            yield self
        finally:
            self.stop()
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()
