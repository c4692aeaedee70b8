"""Tensors from the trainer, rank 0, to the workers of vLLM servers: over NCCL, or over gloo.

Both are a process group of torch's own beside the default one, which the trainer's other ranks have
for themselves. How a trainer without vLLM joins vLLM's NCCL group is vLLM's own protocol
(``NCCLWeightTransferInitInfo`` of vLLM 0.32): the unique id in base64 for everybody, and a sum over
one element before anything else.
"""

import base64
import socket
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol
from urllib.parse import urlsplit

import torch
from torch import Tensor
from torch import distributed as dist


class Collective(Protocol):
    """One group of the trainer and some workers. All members block; ``close`` may be called from
    another thread, and what blocks then fails."""

    def invitation(self) -> Mapping[str, object]:
        """What workers must be told to join, as JSON; may wait until ``join`` has begun."""
        ...

    def join(self) -> None:
        """Be rank 0, and wait for all the others."""
        ...

    def send(self, tensor: Tensor) -> None:
        """Give a tensor to all the others, who know its shape and type."""
        ...

    def close(self) -> None:
        """Leave."""
        ...


class GlooCollective:
    """Over gloo, for workers on CPUs."""

    def __init__(self, world_size: int, *, address: str, seconds: float) -> None:
        """
        Args:
            address: of this machine, as the servers see it.
            seconds: that the others may take for anything.
        """
        self._size = world_size
        self._address = address
        self._timeout = timedelta(seconds=seconds)
        self._store = dist.TCPStore(
            address, 0, is_master=True, wait_for_workers=False, timeout=self._timeout
        )
        # Any: what every group of torch inherits, its stubs do not know.
        self._group: Any = None

    def invitation(self) -> Mapping[str, object]:
        return {"master_address": self._address, "master_port": self._store.port}

    def join(self) -> None:
        self._group = dist.ProcessGroupGloo(self._store, 0, self._size, self._timeout)

    def send(self, tensor: Tensor) -> None:
        assert self._group is not None
        self._group.broadcast([tensor.contiguous()], _from_here()).wait()

    def close(self) -> None:
        if self._group is not None:
            self._group.abort()


class NcclCollective:
    """Over NCCL, from the current GPU to those of the servers."""

    def __init__(self, world_size: int, *, device: torch.device, seconds: float) -> None:
        """
        Args:
            device: a GPU that no worker uses.
            seconds: that the others may take for anything.
        """
        self._device = device
        self._timeout = timedelta(seconds=seconds)
        # Nobody else connects to it: torch's own way to hand the unique id to other ranks of torch
        # is where it is read here.
        self._store = dist.TCPStore(
            "127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=self._timeout
        )
        options = dist.ProcessGroupNCCL.Options()
        options._timeout = self._timeout
        self._group: Any = dist.ProcessGroupNCCL(self._store, 0, world_size, options)

    def invitation(self) -> Mapping[str, object]:
        unique_id = self._store.get("0")
        return {"nccl_unique_id_b64": base64.b64encode(unique_id).decode()}

    def join(self) -> None:
        with torch.cuda.device(self._device):
            self._group.allreduce([torch.zeros(1, device=self._device)]).wait()
            torch.cuda.current_stream().synchronize()

    def send(self, tensor: Tensor) -> None:
        with torch.cuda.device(self._device):
            self._group.broadcast([tensor.contiguous()], _from_here()).wait()
            # One tensor at a time: the copy that made it contiguous may be freed afterwards.
            torch.cuda.current_stream().synchronize()

    def close(self) -> None:
        self._group.abort()


def collective_of(device: torch.device, world_size: int, *, url: str, seconds: float) -> Collective:
    """The one for weights on that device.

    Args:
        url: of one of the servers, which see this machine as it sees itself on the way there.
        seconds: that the others may take for anything.
    """
    if device.type == "cuda":
        return NcclCollective(world_size, device=device, seconds=seconds)
    parts = urlsplit(url)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        way.connect((parts.hostname, parts.port or 80))  # of a datagram: nothing is sent
        address = way.getsockname()[0]
    return GlooCollective(world_size, address=address, seconds=seconds)


def _from_here() -> dist.BroadcastOptions:
    options = dist.BroadcastOptions()
    options.rootRank = 0
    options.rootTensor = 0
    return options
