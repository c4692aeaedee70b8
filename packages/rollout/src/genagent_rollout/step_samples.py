"""A step's attempts: sampled when it begins, or one step ahead, beside the update before it.

One step ahead (one-step-off-policy, as in AReaL, arXiv 2505.24298, with a staleness of 1, and in
verl's recipe of that name): before the update of step k begins, the engine takes over the weights
that it begins from, and the attempts of step k + 1, with their verdicts, begin on a thread. They
are learnt from one update later, and weighed for it (``GRPOConfig.truncate_at``).
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from genagent_endpoints import CancelScope
from genagent_rollout.conversation import Engine
from genagent_rollout.copied_engine import CopiedEngine
from genagent_rollout.stoppable_engine import StoppableEngine

Sample = TypeVar("Sample")


class Learner(Protocol):
    """What a run's states are written by."""

    def save(self, folder: Path) -> None:
        """Write all that going on needs."""
        ...

    def restore(self, folder: Path) -> None:
        """Go on from it."""
        ...


class StepSamples(Generic[Sample]):
    """The samples of a run's steps, in order. Use it in ``with``, which ends what is under way."""

    def __init__(
        self,
        make: Callable[[Engine, int], Sample],
        engine: Engine,
        *,
        steps: int,
        ahead: bool = False,
    ) -> None:
        """
        Args:
            make: a step's sample.
            engine: has the weights that the first step begins from; nobody else samples with it
                while a step is learnt from.
            steps: that there are.
            ahead: whether a step's sample is made while the one before is learnt from. An engine
                in this process then has weights of its own (``CopiedEngine``).
        """
        self._make = make
        self._engine = engine
        self._steps = steps
        self._ahead = StoppableEngine(engine) if ahead else None
        self._scope = CancelScope()
        self._thread = ThreadPoolExecutor(
            1, thread_name_prefix="sampling-ahead", initializer=self._scope.enter
        )
        self._under_way: Future[Sample] | None = None
        self.sampled_with: int | None = None
        """Updates that the engine's weights have seen; None: all that there were until now."""
        self.is_settled = False
        """Whether the engine has newer weights than those."""
        self._staleness = 0
        self._waited = 0.0

    def take(self, step: int) -> Sample:
        """The sample of ``step``, made now or waited for.

        Raises:
            Exception: whatever ``make`` raised.
        """
        if self._ahead is None:
            return self._make(self._engine, step)
        started = time.perf_counter()
        if self._under_way is None:
            self._under_way = self._thread.submit(self._make, self._ahead, step)
        sample = self._under_way.result()
        self._under_way = None
        self._waited = time.perf_counter() - started
        self._staleness = 0 if self.sampled_with is None else step - self.sampled_with
        return sample

    @contextmanager
    def learning(self, step: int) -> Iterator[None]:
        """Around the update of ``step``, which has been taken."""
        if self._ahead is None:
            yield
            self._engine.publish()
            return
        if self.sampled_with is not None:  # the first time it has them
            self._engine.publish()
        self.sampled_with, self.is_settled = step, False
        if step + 1 < self._steps:
            self._under_way = self._thread.submit(self._make, self._ahead, step + 1)
        yield

    def settle(self, step: int) -> None:
        """Let the engine have the weights as they are now, before ``step``, whose own sample is
        made by then with the ones that it is to have."""
        if self._ahead is not None:
            if self._under_way is None:
                self._under_way = self._thread.submit(self._make, self._ahead, step)
            self._under_way.result()
            self._engine.publish()
            self.is_settled = True

    def catch_up(self) -> None:
        """Let the engine have the weights as they are now, after the last step."""
        if self._ahead is not None:
            assert self._under_way is None
            self._engine.publish()

    def metrics(self) -> dict[str, float]:
        """Of the step that was taken last: how stale its tokens are, in updates, of which a step
        is one, and the seconds for which they were waited for."""
        if self._ahead is None:
            return {}
        return {"rollout/staleness": float(self._staleness), "seconds/sample": self._waited}

    def kept_with(self, learner: Learner) -> Learner:
        """A learner whose states say with which weights the next sample is made: what goes on
        makes the same. Servers, whose turns repeat up to float noise, go on with the newest."""
        engine = self._engine
        if self._ahead is None or not isinstance(engine, CopiedEngine):
            return learner
        return _KeptTogether(self, engine, learner)

    def __enter__(self) -> "StepSamples[Sample]":
        return self

    def __exit__(self, *_: object) -> None:
        if self._ahead is not None:
            self._ahead.stop()
        # Else a judge that hangs is waited for, where all attempts have ended.
        self._scope.cancel()
        self._thread.shutdown()


class _KeptTogether:
    def __init__(
        self, samples: StepSamples[Sample], engine: CopiedEngine, learner: Learner
    ) -> None:
        self._samples = samples
        self._engine = engine
        self._learner = learner

    def save(self, folder: Path) -> None:
        self._learner.save(folder)
        # What an evaluation has given the engine are not the weights of the next sample.
        if self._samples.sampled_with is not None and not self._samples.is_settled:
            self._engine.save(folder, self._samples.sampled_with)

    def restore(self, folder: Path) -> None:
        self._learner.restore(folder)
        self._samples.sampled_with = self._engine.restore(folder)
