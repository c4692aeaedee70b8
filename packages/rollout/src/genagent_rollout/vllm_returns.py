"""vLLM servers that were started again, and get the weights that turns are sampled with."""

import asyncio
from collections.abc import Iterable

from genagent_rollout.publication import Publication
from genagent_rollout.vllm_server import VllmServer, failures

MAX_RETURNS = 5
"""Of servers, in the course of one turn: a turn that ends whoever samples it must end too."""


class Returns:
    """Gives servers what was published last; those who wait for the same one wait together."""

    def __init__(self, publication: Publication) -> None:
        self._publication = publication
        self._under_way: dict[str, asyncio.Task[str | None]] = {}

    async def of(self, version: str, servers: Iterable[VllmServer]) -> dict[str, str | None]:
        """By URL: None where a server samples with this version now, else why it cannot; "" where
        the server was not given this version."""
        tasks = {server.url: self._task(version, server) for server in servers}
        # Whoever gives up waiting leaves it to the others.
        found = await asyncio.gather(*(asyncio.shield(task) for task in tasks.values()))
        return dict(zip(tasks, found, strict=True))

    def _task(self, version: str, server: VllmServer) -> asyncio.Task[str | None]:
        task = self._under_way.get(server.url)
        if task is None:
            task = asyncio.create_task(self._give(version, server))
            self._under_way[server.url] = task
            task.add_done_callback(lambda _: self._under_way.pop(server.url))
        return task

    async def _give(self, version: str, server: VllmServer) -> str | None:
        gives: list[bool] = []

        async def give(server: VllmServer) -> None:
            gives.append(await self._publication.give_again(version, server))

        reasons = await failures([server], give)
        return reasons[server.url] if reasons else (None if gives[0] else "")
