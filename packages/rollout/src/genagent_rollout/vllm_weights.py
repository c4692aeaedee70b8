"""New weights for a vLLM server, through a checkpoint folder.

Turns that are being sampled are waited for, so that no turn mixes two versions. What the old
weights have computed is dropped, and that it was dropped is confirmed: a cache still held by a
block says ``success: false``. Only then does the server call itself by the new version.
"""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

from genagent_endpoints import Answer, Endpoints, Lost, Trouble

RESET_PAUSE = 0.2
"""Seconds between two tries at a cache whose blocks are held."""


async def load_weights(
    endpoints: Endpoints, url: str, folder: Path, *, version: str, seconds: float
) -> None:
    """The server at ``url`` samples with the checkpoint in ``folder`` from now on.

    Raises:
        Trouble, EndpointError: it does not; what it samples with is unknown.
    """
    try:
        async with asyncio.timeout(seconds):
            await _load(_Server(endpoints, url, seconds), folder, version)
    except TimeoutError as error:
        raise Lost(f"{url}: new weights were not loaded within {seconds:g} s") from error


async def _load(server: "_Server", folder: Path, version: str) -> None:
    await server.post("/pause?mode=wait")
    reload = {"method": "reload_weights", "kwargs": {"weights_path": str(folder)}}
    await server.post("/collective_rpc", reload)
    while not _succeeded(await server.post("/reset_prefix_cache")):
        await asyncio.sleep(RESET_PAUSE)
    await server.post("/reset_mm_cache")
    await server.post("/reset_encoder_cache")
    await server.post("/update_weight_version", {"new_version": version})
    await server.post("/resume")
    if (found := await weight_version(server.endpoints, server.url)) != version:
        raise Lost(f"{server.url}: calls its weights {found!r} after they became {version!r}")


async def weight_version(endpoints: Endpoints, url: str) -> str:
    """What a server calls the weights it samples with.

    Raises:
        Trouble, EndpointError: it does not say.
    """
    said = (await endpoints.send("GET", f"{url}/weight_info")).json()
    if not isinstance(said, dict) or not isinstance(said.get("weight_version"), str):
        raise Lost(f"{url}: /weight_info says {json.dumps(said)[:100]}")
    return said["weight_version"]


class _Server:
    def __init__(self, endpoints: Endpoints, url: str, seconds: float) -> None:
        self.endpoints = endpoints
        self.url = url
        self._seconds = seconds

    async def post(self, path: str, body: Mapping[str, object] | None = None) -> Answer:
        url = f"{self.url}{path}"
        try:
            return await self.endpoints.send("POST", url, body, seconds=self._seconds)
        except Trouble as trouble:
            raise type(trouble)(f"{url}: {trouble}") from trouble


def _succeeded(answer: Answer) -> bool:
    said = answer.json()
    return isinstance(said, dict) and said.get("success") is True
