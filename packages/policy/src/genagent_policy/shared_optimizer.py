"""The optimizer of many processes: whole on each of them, or shared out (``zero_optimizer``).

Each process adds up the gradient of its own share of a batch; what a step is taken with is the sum
over all of them, clipped by its norm. The state that is saved is the one of a single process, so
that a run goes on with any number of them.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from torch import Tensor, nn

from genagent_policy.distributed import DistributedConfig
from genagent_policy.model import Policy
from genagent_policy.optimizer import AdamWConfig, Optimizer
from genagent_policy.ranks import Ranks
from genagent_policy.zero_optimizer import ZeroOptimizer

Rest = TypeVar("Rest")


@runtime_checkable  # Tests check annotations as they run.
class Learning(Protocol):
    """What an update asks of ``Optimizer``, ``SummedOptimizer`` or ``ZeroOptimizer``."""

    @property
    def is_lockstep(self) -> bool:
        """Whether all ranks must run equally many passes, each with a gradient in every weight."""
        ...

    def zero_grad(self) -> None:
        """Forget gradients that were added up."""
        ...

    def learn(self, loss: Callable[[], tuple[Tensor, Rest]]) -> tuple[float, Rest]:
        """Run a pass, add the gradient of its share of the loss, and return that share's value."""
        ...

    def look(self, work: Callable[[], Rest]) -> Rest:
        """Run a pass of the policy that nothing is learnt from."""
        ...

    def step(self, learning_rate: float) -> float:
        """Take a step; returns the norm of the whole gradient before clipping."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """As ``Optimizer``; every rank asks for it, and the first one has it."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from it."""
        ...


def open_optimizer(
    policy: Policy, config: AdamWConfig, ranks: Ranks, distributed: DistributedConfig
) -> Learning:
    """The optimizer of the policy's trainable parameters, which may move their storage: what
    captures it is opened later.

    Raises:
        ValueError: nothing is trainable, or not under that stage of ZeRO.
    """
    parameters = policy.trainable_parameters()
    if distributed.zero:
        return ZeroOptimizer(policy, config, ranks, distributed)
    offload = distributed.offload_optimizer
    if ranks.size == 1:
        return Optimizer(parameters, config, offload=offload)
    return SummedOptimizer(parameters, config, ranks, offload=offload)


class SummedOptimizer(Optimizer):
    """Whole on each rank; gradients are summed when a step is taken, in the masters' float32."""

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        config: AdamWConfig,
        ranks: Ranks,
        *,
        offload: bool = False,
    ) -> None:
        super().__init__(parameters, config, offload=offload)
        self._ranks = ranks

    def step(self, learning_rate: float) -> float:
        self._ranks.sum_gradients(self._gradients())
        return super().step(learning_rate)
