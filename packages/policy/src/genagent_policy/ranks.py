"""The processes of one job: who they are, and what they tell one another.

One process by itself is a job of one, in which everybody agrees and nothing is sent: what learns
and what acts asks its ``Ranks`` and does not know how many they are. Nothing here loads torch.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

Value = TypeVar("Value")


class Ranks:
    """One process by itself; ``Job`` is several."""

    rank = 0
    size = 1

    def gather(self, value: Value) -> list[Value]:
        """What each rank gives, by rank, on every one of them."""
        return [value]

    def total(self, value: float) -> float:
        """The sum of what the ranks give; whole numbers stay whole."""
        return sum(self.gather(value))

    def first(self, make: Callable[[], Value]) -> Value:
        """What the first rank makes, on every one of them.

        Raises:
            FirstRankFailed: it could not, and says why itself; on the others.
        """
        return make()

    def exchange(self, parcels: Sequence[Sequence[Value]]) -> list[Value]:
        """What the others, and this rank, have for this one, by sender.

        Args:
            parcels: for each rank, what it is given.
        """
        [own] = parcels
        return list(own)

    def hand_out(self, count: int) -> Iterator[int]:
        """The numbers below ``count``, each to one rank alone: to whoever asks next."""
        yield from range(count)

    def sum_gradients(self, gradients: "Sequence[Tensor]") -> None:
        """Let each be the sum over all ranks, in place."""

    def part(self) -> None:
        """This rank stops by itself: nobody need miss it."""

    def leave(self) -> None:
        """The job is done, by all ranks together."""


ALONE = Ranks()


class FirstRankFailed(SystemExit):
    """The first rank could not do what all wait for; it says why, and the others end as well."""

    def __init__(self) -> None:
        super().__init__(1)
