"""Several processes that ``torchrun`` or ``deepspeed`` has started."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor

from genagent_policy.ranks import FirstRankFailed, Ranks
from genagent_policy.watch import Watch

Value = TypeVar("Value")


class Job(Ranks):
    """Processes that ``torchrun`` or ``deepspeed`` has started, on one machine or several.

    Gradients on GPUs go by NCCL, those in a host's memory by gloo; everything else goes by gloo, or
    by the store in which the processes have found each other. What is sent as an object is pickled:
    only processes of one job can send it.
    """

    def __init__(
        self, *, device: torch.device, seconds: float, silence: float, local_rank: int = 0
    ) -> None:
        """
        Args:
            device: where the gradients are.
            seconds: that a collective waits for the others.
            silence: seconds after which a rank that is not heard of is taken for dead.

        Raises:
            ValueError: the processes do not find each other.
        """
        limit = timedelta(seconds=seconds)
        if device.type == "cuda":
            torch.cuda.set_device(device if device.index is not None else local_rank)
        try:
            self._store, self.rank, self.size = next(
                dist.rendezvous("env://", timeout=limit)  # pyright: ignore[reportPrivateImportUsage]
            )
            dist.init_process_group(
                "nccl" if device.type == "cuda" else "gloo",
                store=dist.PrefixStore("learning", self._store),
                rank=self.rank,
                world_size=self.size,
                timeout=limit,
            )
            self._talk = cast("dist.ProcessGroup", dist.new_group(backend="gloo", timeout=limit))
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"the processes of the job do not find each other: {error}") from error
        self._handed_out = 0
        self.watch = Watch(self._store.clone(), rank=self.rank, size=self.size, silence=silence)
        self.watch.begin()

    def gather(self, value: Value) -> list[Value]:
        every: list[Any] = [None] * self.size
        dist.all_gather_object(every, value, group=self._talk)
        return every

    def first(self, make: Callable[[], Value]) -> Value:
        made: list[Any] = [False, None]
        try:
            if self.rank == 0:
                made = [True, make()]
        finally:  # the others wait, whatever has come of it
            dist.broadcast_object_list(made, src=0, group=self._talk)
        if not made[0]:
            raise FirstRankFailed
        return made[1]

    def exchange(self, parcels: Sequence[Sequence[Value]]) -> list[Value]:
        assert len(parcels) == self.size
        received: list[Value] = []
        for sender in range(self.size):
            parcel: list[Any] = [None]
            dist.scatter_object_list(
                parcel, list(parcels) if sender == self.rank else None, src=sender, group=self._talk
            )
            received.extend(parcel[0])
        return received

    def hand_out(self, count: int) -> Iterator[int]:
        self._handed_out += 1
        key = f"handed out {self._handed_out}"
        while (number := self._store.add(key, 1) - 1) < count:
            yield number

    def sum_gradients(self, gradients: Sequence[Tensor]) -> None:
        for gradient in gradients:  # an optimizer's in the host's memory go by gloo
            dist.all_reduce(gradient, group=None if gradient.is_cuda else self._talk)

    def part(self) -> None:
        self.watch.end()

    def leave(self) -> None:
        self.part()
        # A rank that leaves while another still talks to it aborts that one.
        dist.barrier(group=self._talk)
        dist.destroy_process_group()
