"""New weights from the trainer's memory into the servers', parameter by parameter."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from genagent_rollout.collective import Collective
from genagent_rollout.vllm_server import VllmServer, failures

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Group:
    """Servers that have joined."""

    collective: Collective
    sizes: Mapping[str, int]
    """By URL: workers."""
    version: str
    """Of the last weights that all of them got, or of none."""


class BroadcastPublication:
    """A ``Publication`` by vLLM's weight transfer: nothing is written, all servers get it at once.

    The servers' workers and the trainer are one group, made anew where its members change: a server
    that has died, or was started again, is seen by what it says before anything is sent. What fails
    while weights are on their way fails for all, because the others wait for it.

    Example::

        BroadcastPublication(
            policy.weights,
            lambda size: NcclCollective(size, device=policy.device, seconds=600),
        )
    """

    def __init__(
        self,
        parameters: Callable[[], Iterable[tuple[str, Tensor]]],
        collective: Callable[[int], Collective],
        *,
        shapes: Callable[[], Iterable[tuple[str, torch.dtype, Sequence[int]]]] | None = None,
    ) -> None:
        """
        Args:
            parameters: name and whole tensor of each, by the names of a checkpoint, in the same
                order every time.
            collective: for a group of so many members, of which the trainer is the first.
            shapes: name, dtype and shape of each, where going through them is dear; None: as they
                are.
        """
        self._parameters = parameters
        self._collective = collective
        self._shapes = shapes
        self._group: _Group | None = None

    def model(self, version: str) -> str | None:
        return None

    async def publish(self, version: str, servers: Sequence[VllmServer]) -> dict[str, str]:
        sizes: dict[str, int] = {}
        versions: dict[str, str] = {}

        async def ask(server: VllmServer) -> None:
            versions[server.url] = await server.version()
            sizes[server.url] = await server.workers()

        reasons = await failures(servers, ask)
        members = [server for server in servers if server.url not in reasons]
        if not members:
            return reasons
        sizes = {server.url: sizes[server.url] for server in members}
        try:
            await self._gather(members, sizes, versions)
            await self._send(members)
        except _Broken as broken:
            self._leave()
            others = f"weights were not sent: {next(iter(broken.reasons.values()))}"
            return reasons | {
                server.url: broken.reasons.get(server.url, f"{server.url}: {others}")
                for server in members
            }

        async def settle(server: VllmServer) -> None:
            await server.drop_caches()
            await server.go_on_as(version)

        assert self._group is not None
        self._group = _Group(collective=self._group.collective, sizes=sizes, version=version)
        return reasons | await failures(members, settle)

    async def give_again(self, version: str, server: VllmServer) -> bool:
        """A group receives together, so it waits for the next weights."""
        return False

    async def retire(self, version: str, servers: Sequence[VllmServer]) -> None:
        """Nothing is left of it."""

    async def _gather(
        self, members: Sequence[VllmServer], sizes: Mapping[str, int], versions: Mapping[str, str]
    ) -> None:
        """A group of just these servers."""
        group = self._group
        if group is not None:
            same = {versions[server.url] for server in members} == {group.version}
            if same and group.sizes == sizes:
                return
            self._leave()
        # Those of a former run may still be in its group.
        await _all(members, lambda each: each.post("/shutdown_weight_transfer_engine"))
        world_size = 1 + sum(sizes.values())
        offsets: dict[str, int] = {}
        for server in members:
            offsets[server.url] = 1 + sum(sizes[url] for url in offsets)
        with _torch_trouble(members):
            collective = self._collective(world_size)
            self._group = _Group(collective=collective, sizes=sizes, version="")
            joining, asking = _in_thread(collective.join), _in_thread(collective.invitation)
            # Nobody can have joined yet, so what is over by now has failed.
            await asyncio.wait((joining, asking), return_when=asyncio.FIRST_COMPLETED)
            if joining.done():
                joining.result()
            invitation = await asking

        async def invite(server: VllmServer) -> None:
            place = {"rank_offset": offsets[server.url], "world_size": world_size}
            info = {**invitation, **place, "packed": False}
            await server.post("/init_weight_transfer_engine", {"init_info": info})

        await _meanwhile(joining, members, invite)

    async def _send(self, members: Sequence[VllmServer]) -> None:
        """The weights as they are now, to all members."""
        assert self._group is not None
        collective = self._group.collective
        if self._shapes is None:
            known = [(name, tensor.dtype, tensor.shape) for name, tensor in self._parameters()]
        else:
            known = list(self._shapes())
        update = {
            "names": [name for name, _, _ in known],
            "dtype_names": [str(dtype).removeprefix("torch.") for _, dtype, _ in known],
            "shapes": [list(shape) for _, _, shape in known],
        }

        async def begin(server: VllmServer) -> None:
            await server.post("/pause?mode=wait")
            await server.post("/start_weight_update")

        def send() -> None:
            for _, tensor in self._parameters():
                collective.send(tensor.detach())

        await _all(members, begin)
        await _meanwhile(
            _in_thread(send),
            members,
            lambda server: server.post("/update_weights", {"update_info": update}),
        )
        await _all(members, lambda server: server.post("/finish_weight_update"))

    def _leave(self) -> None:
        if self._group is not None:
            self._group.collective.close()
            self._group = None


class _Broken(Exception):
    """What all members must do together has failed."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        super().__init__()
        self.reasons = reasons


async def _all(
    members: Sequence[VllmServer], work: Callable[[VllmServer], Awaitable[object]]
) -> None:
    if reasons := await failures(members, work):
        raise _Broken(reasons)


async def _meanwhile(
    own: "asyncio.Future[None]",
    members: Sequence[VllmServer],
    work: Callable[[VllmServer], Awaitable[object]],
) -> None:
    """The trainer's side and the servers' side of one collective; the first failure ends both."""

    async def each(server: VllmServer) -> None:
        if reasons := await failures([server], work):
            raise _Broken(reasons)

    tasks = [asyncio.ensure_future(each(server)) for server in members]
    try:
        with _torch_trouble(members):
            await asyncio.gather(own, *tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def _torch_trouble(members: Sequence[VllmServer]) -> Iterator[None]:
    """What the trainer's own side cannot do, nobody gets."""
    try:
        yield
    except RuntimeError as error:
        said = str(error).strip().splitlines()[0]
        raise _Broken({server.url: f"{server.url}: {said}" for server in members}) from error


def _in_thread(work: Callable[[], Result]) -> "asyncio.Future[Result]":
    """In a thread that nobody waits for at the end: a collective without its others may block until
    its own time is over."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def settle(result: Result | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # pyright: ignore[reportArgumentType]

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except Exception as caught:
            error = caught
        with suppress(RuntimeError):  # nobody waits any more, and the loop is closed
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, daemon=True).start()
    return future
