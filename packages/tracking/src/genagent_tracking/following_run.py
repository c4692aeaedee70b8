"""A run in another process than the first: it takes every step, and writes and says nothing."""

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from genagent_data import Request
from genagent_tracking.run import Evaluation, Run
from genagent_tracking.states import Learner, read_notes
from genagent_worlds import GroupRecord, Outcome, World, read_outcomes


class FollowingRun(Run):
    """See the module; ``run_experiment`` makes it where the launcher has made this process another
    one than the first."""

    @cached_property
    def folder(self) -> Path:
        """The first process's, which all see.

        Raises:
            ValueError: this one does not.
        """
        assert self._resumed is not None, "join comes before"
        if not (self._resumed / "config.json").is_file():
            raise ValueError(
                f"{self._resumed.absolute()} is not there on {socket.gethostname()}; give --runs a "
                "folder that all machines see under the same path"
            )
        return self._resumed

    @property
    def state(self) -> Path | None:
        """The one that the first process has verified."""
        return self._begins_at

    def made_with(self, **names: str) -> None:
        firsts: Mapping[str, str] = self._first(dict)
        for name, own in names.items():
            if own != firsts[name]:
                raise ValueError(
                    f"{socket.gethostname()} has another {name} ({own}) than the first process "
                    f"({firsts[name]}); give all machines the same"
                )

    @contextmanager
    def recording(self, learner: Learner | None = None) -> Iterator[None]:
        if learner is not None:
            self._learner = learner
            if self.state is not None:
                learner.restore(self.state)
                self.step = self._kept = read_notes(self.state).step
        self._begin()
        self._loading.close()
        try:
            yield
        except (Exception, KeyboardInterrupt):
            if self._ranks is not None:
                self._ranks.part()
            raise

    def log(self, *parts: Mapping[str, float]) -> None:
        for part in parts:
            self._metrics.update(part)

    def show(self, world: World, groups: Sequence[GroupRecord], *, count: int = 6) -> None:
        pass

    def evaluate(
        self,
        step: int,
        world: World,
        requests: Sequence[Request],
        evaluation: Evaluation,
    ) -> list[Outcome]:
        path = self.folder / f"evaluation-{step:06d}.jsonl"
        if self._first(path.exists):
            return read_outcomes(path, self.pictures)
        return evaluation(requests, lambda done, total: None)

    def table(self, name: str, title: str, rows: Sequence[Mapping[str, str]]) -> None:
        pass

    def conclude(
        self,
        before: Sequence[Outcome],
        after: Sequence[Outcome],
        figures: Mapping[str, Any] | None = None,
        *,
        asking: Sequence[str] = (),
    ) -> None:
        pass

    def close(self) -> None:
        pass

    @property
    def kept(self) -> int:
        """Steps in the latest state that it has taken part in."""
        return self._kept

    _kept = 0

    def _keep_policy(self) -> None:
        pass

    def _keep_state(self) -> None:
        if self.step > self._kept:
            self._learner.save(self.folder / "state")  # its part; the first process writes
            self._kept = self.step
