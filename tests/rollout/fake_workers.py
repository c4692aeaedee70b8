"""The workers of a fake vLLM server, which receive weights over gloo as vLLM's do over NCCL."""

import asyncio
from datetime import timedelta
from typing import Any

import torch
from aiohttp import web
from torch import distributed as dist

TIMEOUT = timedelta(seconds=10)


class Workers:
    """What vLLM's own workers keep between the calls, and what they refuse."""

    PATHS = (
        "/get_world_size",
        "/init_weight_transfer_engine",
        "/shutdown_weight_transfer_engine",
        "/start_weight_update",
        "/update_weights",
        "/finish_weight_update",
    )

    def __init__(self, size: int) -> None:
        self.size = size
        self.ranks: list[int] = []
        self.weights: list[dict[str, torch.Tensor]] = [{} for _ in range(size)]
        """By worker: what it has received."""
        self._groups: list[dist.ProcessGroupGloo] = []
        self._updating = False

    async def answer(self, path: str, request: web.Request) -> web.Response:
        if path == "/get_world_size":
            return web.json_response({"world_size": self.size})
        body = await request.json() if request.can_read_body else {}
        try:
            await getattr(self, f"_{path[1:].split('_')[0]}")(body)
        except (RuntimeError, ValueError) as error:
            return web.json_response({"error": {"message": str(error)}}, status=500)
        return web.json_response({"message": "done"})

    async def _init(self, body: dict[str, Any]) -> None:
        if not self.size:
            raise RuntimeError("Weight transfer not configured.")
        info = body["init_info"]
        try:
            where, first = (info["master_address"], info["master_port"]), info["rank_offset"]
            size, packed = info["world_size"], info["packed"]
        except KeyError as error:
            raise ValueError(f"Invalid init_info for the engine: {error}") from error
        assert not packed
        self.ranks = list(range(first, first + self.size))
        joining = (asyncio.to_thread(_join, where, rank, size) for rank in self.ranks)
        self._groups = list(await asyncio.gather(*joining))

    async def _shutdown(self, body: dict[str, Any]) -> None:
        if self._updating:
            raise RuntimeError("Cannot release a trainer connection during a weight update")
        for group in self._groups:
            group.abort()
        self._groups = []

    async def _start(self, body: dict[str, Any]) -> None:
        if self._updating:
            raise RuntimeError("start_weight_update called while a weight update is active")
        self._updating = True

    async def _update(self, body: dict[str, Any]) -> None:
        if not self._updating or not self._groups:
            raise RuntimeError("start_weight_update must be called before update_weights.")
        info = body["update_info"]
        known = list(zip(info["names"], info["dtype_names"], info["shapes"], strict=True))
        try:
            receiving = (asyncio.to_thread(_receive, group, known) for group in self._groups)
            self.weights = list(await asyncio.gather(*receiving))
        except RuntimeError:
            self._updating = False
            raise

    async def _finish(self, body: dict[str, Any]) -> None:
        if not self._updating:
            raise RuntimeError("finish_weight_update called without a start_weight_update.")
        self._updating = False


def _join(where: tuple[str, int], rank: int, size: int) -> dist.ProcessGroupGloo:
    store = dist.TCPStore(*where, is_master=False, timeout=TIMEOUT)
    return dist.ProcessGroupGloo(store, rank, size, TIMEOUT)


def _receive(group: Any, known: list[tuple[str, str, list[int]]]) -> dict[str, torch.Tensor]:
    received: dict[str, torch.Tensor] = {}
    options = dist.BroadcastOptions()
    options.rootRank = 0
    for name, dtype, shape in known:
        received[name] = torch.empty(shape, dtype=getattr(torch, dtype))
        group.broadcast([received[name]], options).wait()
    return received
