"""A policy that samples while the one it was copied from learns.

Weights that do not learn are the same tensors in both: of a policy with an adapter the copy costs
its matrices, of one with a frozen vision tower the language model.
"""

from copy import copy, deepcopy
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from genagent_policy.learning_state import read_tensors, save_tensors
from genagent_policy.model import Policy


class WeightCopy:
    """Of one process. Made after it is known which parameters learn and before the next step."""

    def __init__(self, source: Policy) -> None:
        self._source = source
        model = source.model
        kept = [*model.parameters(), *model.buffers()]
        shared: dict[int, Any] = {id(one): one for one in kept if not one.requires_grad}
        self.policy = copy(source)
        """Samples; it has no adapter to publish or save, its model has."""
        self.policy.model = deepcopy(model, shared).requires_grad_(False)
        self.policy.adapter = None

    @torch.no_grad()
    def follow(self) -> None:
        """Take over the source's weights as they are now."""
        ours, theirs = self.policy.model.parameters(), self._source.model.parameters()
        for own, other in zip(ours, theirs, strict=True):
            if own is not other:
                own.copy_(other)

    def save(self, path: Path, updates: int) -> None:
        """Write the weights that are its own.

        Args:
            updates: that they have seen.

        Raises:
            OSError: they cannot be written.
        """
        save_tensors(path, {"updates": updates, "weights": self._own()})

    @torch.no_grad()
    def restore(self, path: Path) -> int:
        """Take over what ``save`` wrote; the updates that it had seen. Raises ValueError where
        that cannot be read, or is of another policy."""
        state, own = cast("Any", read_tensors(path, "the weights that sample")), self._own()
        try:
            weights, updates = state["weights"], int(state["updates"])
            is_same = {n: w.shape for n, w in weights.items()} == {
                n: w.shape for n, w in own.items()
            }
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{path} holds no weights that sample") from error
        if not is_same:
            raise ValueError(f"{path} holds the weights of another policy, or of other parts of it")
        for name, weight in own.items():
            weight.copy_(weights[name])
        return updates

    def _own(self) -> dict[str, Tensor]:
        theirs = self._source.model.parameters()
        pairs = zip(self.policy.model.named_parameters(), theirs, strict=True)
        return {name: own.detach() for (name, own), other in pairs if own is not other}
