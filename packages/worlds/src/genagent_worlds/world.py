"""The seam between an agent and what it lives in.

Everything that acts, learns or measures takes a ``World`` and knows nothing else of it; only
experiments name a concrete one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from genagent_data import Request
from genagent_rewards import ComparesPictures, JudgesPictures, PairwiseJudge, PointwiseJudge
from genagent_tools import ImageTool


class Requests(Protocol):
    """Where training requests come from."""

    def sample(self, n: int, *, seed: int, step: int = 0) -> list[Request]:
        """The ``n`` requests of one step of a run; ``seed`` and ``step`` decide them."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Judges:
    """Both judges of a hybrid reward."""

    point: JudgesPictures
    pair: ComparesPictures
    at_once: bool = False
    """Whether they are asked about a trajectory as soon as it has ended, while others still run:
    for judges behind endpoints. One in this process would only get in the others' way."""

    def take_counts(self) -> dict[str, float]:
        """``judge/asked``, ``judge/cached``, ``judge/absent`` and of these ``judge/unparsed`` since
        the last call; nothing for judges that ask no model."""
        counts = [
            judge.take_counts()
            for judge in (self.point, self.pair)
            if isinstance(judge, PointwiseJudge | PairwiseJudge)
        ]
        names = ("asked", "cached", "absent", "unparsed")
        return {f"judge/{n}": float(sum(getattr(c, n) for c in counts)) for n in names if counts}


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """What the agent is asked, what draws, who judges, and what is true where that is known."""

    train: Requests
    held_out: tuple[Request, ...]
    tool: ImageTool
    words: int | None = None
    """Words of a prompt that its tool reads, told to the agent; None: nothing is said."""
    judges: Judges
    """Whose verdicts are paid for."""
    truth: Judges | None = None
    """Never wrong, where there is such a thing; measures, never pays."""
    policies: Mapping[str, Path] = field(default_factory=dict)
    """Checkpoints that ship with it, by name."""


class WorldConfig(Protocol):
    """A world as options, which a run's ``config.json`` keeps."""

    @property
    def policies(self) -> Mapping[str, Path]:
        """Checkpoints that ship with it, by name."""
        ...

    def problems(self, *, ask_servers: bool = True) -> Sequence[str]:
        """What keeps it from opening, a line each; files are read, no model is loaded.

        Args:
            ask_servers: whether they are there to be tried out.
        """
        ...

    def open(self, run_folder: Path, *, seed: int) -> World:
        """The world, ready for use; what was paid for is kept in ``run_folder``.

        Raises:
            ValueError: a file, a model or an endpoint is not what it should be.
        """
        ...
