"""What a vLLM server is told besides turns: its development endpoints, one server at a time."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence

from genagent_endpoints import Answer, EndpointError, Endpoints, Lost, Trouble

FIRST_VERSION = "default"
"""What a server calls the weights that it was started with; in vLLM 0.28 to 0.33."""
LOOK_SECONDS = 10.0
"""That one which was silent may take to show that its engine lives."""
RESET_PAUSE = 0.2
"""Seconds between two tries at a cache whose blocks are held."""


class VllmServer:
    """One server, asked directly.

    Args:
        url: without a slash at its end.
        seconds: that it may take for each answer.
    """

    def __init__(self, endpoints: Endpoints, url: str, *, seconds: float) -> None:
        self.url = url
        self.seconds = seconds
        self.was_silent = False
        """When it was last told of new weights."""
        self._endpoints = endpoints

    async def get(self, path: str) -> Answer:
        """Raises Trouble or EndpointError, which name the URL."""
        return await self._send("GET", path, None, (200,))

    async def post(
        self,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        taken: Sequence[int] = (200,),
    ) -> Answer:
        """Raises Trouble or EndpointError, which name the URL.

        Args:
            taken: statuses that are answers.
        """
        return await self._send("POST", path, body, taken)

    async def show_life(self) -> None:
        """Ends once its engine, and not the HTTP server before it, has done something small."""
        # 404: it has no development endpoints.
        await self.post("/reset_mm_cache", taken=(200, 404))

    async def drop_caches(self) -> None:
        """Nothing that older weights have computed is left. A cache still held by a block says
        ``success: false``, and is asked again."""
        while not _succeeded(await self.post("/reset_prefix_cache")):
            await asyncio.sleep(RESET_PAUSE)
        await self.post("/reset_mm_cache")
        await self.post("/reset_encoder_cache")

    async def go_on_as(self, version: str) -> None:
        """Turns are sampled again, with weights that the server calls by this version.

        Raises:
            Lost: it does not.
        """
        await self.post("/update_weight_version", {"new_version": version})
        await self.post("/resume")
        if (found := await self.version()) != version:
            raise Lost(f"{self.url}: calls its weights {found!r} after they became {version!r}")

    async def version(self) -> str:
        """What it calls the weights it samples with."""
        said = (await self.get("/weight_info")).json()
        if not isinstance(said, dict) or not isinstance(said.get("weight_version"), str):
            raise Lost(f"{self.url}: /weight_info says {json.dumps(said)[:100]}")
        return said["weight_version"]

    async def workers(self) -> int:
        """How many processes hold its weights."""
        said = (await self.get("/get_world_size")).json()
        if not isinstance(said, dict) or not isinstance(said.get("world_size"), int):
            raise Lost(f"{self.url}: /get_world_size says {json.dumps(said)[:100]}")
        return said["world_size"]

    async def _send(
        self, method: str, path: str, body: Mapping[str, object] | None, taken: Sequence[int]
    ) -> Answer:
        url = f"{self.url}{path}"
        try:
            return await self._endpoints.send(method, url, body, seconds=self.seconds, taken=taken)
        except Trouble as trouble:
            text = str(trouble)
            raise type(trouble)(text if text.startswith(url) else f"{url}: {text}") from trouble


async def failures(
    servers: Sequence[VllmServer], work: Callable[[VllmServer], Awaitable[object]]
) -> dict[str, str]:
    """The work at all servers at the same time; of those that cannot do it in their time: why."""
    reasons = await asyncio.gather(*(_failure(server, work) for server in servers))
    outcomes = zip(servers, reasons, strict=True)
    return {server.url: reason for server, reason in outcomes if reason is not None}


async def _failure(
    server: VllmServer, work: Callable[[VllmServer], Awaitable[object]]
) -> str | None:
    late = ""
    try:
        if server.was_silent:
            # One that hangs costs hundreds of publications one long wait, and not hundreds.
            late = f"new weights were not loaded, and its engine is silent for {LOOK_SECONDS:g} s"
            async with asyncio.timeout(LOOK_SECONDS):
                await server.show_life()
        late = f"new weights were not loaded within {server.seconds:g} s"
        async with asyncio.timeout(server.seconds):
            await work(server)
    except TimeoutError:
        server.was_silent = True
        return f"{server.url}: {late}"
    except (Trouble, EndpointError) as error:
        return str(error)
    server.was_silent = False
    return None


def _succeeded(answer: Answer) -> bool:
    said = answer.json()
    return isinstance(said, dict) and said.get("success") is True
