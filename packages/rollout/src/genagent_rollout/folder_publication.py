"""New weights through a checkpoint folder that the servers see under the same path."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from genagent_rollout.publication import clear_away
from genagent_rollout.vllm_server import FIRST_VERSION, VllmServer, failures


class FolderPublication:
    """A ``Publication``: servers load all their weights anew.

    Turns that are being sampled are waited for, so that no turn mixes two versions. Only when the
    caches are empty does a server call itself by the new version.

    Example: ``FolderPublication(policy.save, Path("weights"))``
    """

    def __init__(self, save: Callable[[Path], None], root: Path) -> None:
        """
        Args:
            save: writes a checkpoint of the policy as it is now into a new folder.
            root: folder for the checkpoints.
        """
        self._save = save
        self._root = root.absolute()

    def model(self, version: str) -> str | None:
        return None

    async def publish(self, version: str, servers: Sequence[VllmServer]) -> dict[str, str]:
        await asyncio.to_thread(self._save, self._folder(version))
        return await failures(servers, partial(self._load, version))

    async def give_again(self, version: str, server: VllmServer) -> bool:
        found = await server.version()
        if found == FIRST_VERSION:
            await self._load(version, server)
        return found in (FIRST_VERSION, version)

    async def retire(self, version: str, servers: Sequence[VllmServer]) -> None:
        await asyncio.to_thread(clear_away, self._folder(version))

    async def _load(self, version: str, server: VllmServer) -> None:
        weights = {"weights_path": str(self._folder(version))}
        await server.post("/pause?mode=wait")
        await server.post("/collective_rpc", {"method": "reload_weights", "kwargs": weights})
        await server.drop_caches()
        await server.go_on_as(version)

    def _folder(self, version: str) -> Path:
        return self._root / f"policy-{version}"
