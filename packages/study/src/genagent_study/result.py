"""What a cell came to, as sections of a study read it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from genagent_study.archive import NamedPictures
from genagent_study.cell import Made
from genagent_study.paired import share
from genagent_tracking.step_figures import read_figures
from genagent_worlds import Outcome, read_outcomes


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Who was asked the same requests, and what became of each, by the request's id."""

    outcomes: Mapping[str, Outcome]
    success: Mapping[str, bool | None]
    """By the picture that counts: the last one, or the best where that was asked for."""

    @staticmethod
    def of(outcomes: Sequence[Outcome]) -> "Answers":
        """Those whose last picture counts."""
        by_id = {one.request.id: one for one in outcomes}
        return Answers(outcomes=by_id, success={id: one.success for id, one in by_id.items()})

    @property
    def first(self) -> dict[str, bool | None]:
        """Success by the first picture."""
        return {id: one.first_success for id, one in self.outcomes.items()}

    @property
    def failed_first(self) -> list[str]:
        """Requests whose first picture is wrong; a request without any is none of them."""
        return [id for id, one in self.outcomes.items() if one.passed[:1] == (False,)]

    @property
    def gain(self) -> float:
        """By reflection: success by the picture that counts minus success by the first."""
        return share(self.success) - share(self.first)

    @property
    def repair(self) -> float:
        """Success on the requests whose first picture failed; 0 where none did."""
        return share({id: self.success[id] for id in self.failed_first})

    @property
    def rounds(self) -> float:
        """Pictures an attempt, of those that no failed tool has ended."""
        drawn = [len(one.passed) for one in self.outcomes.values() if not one.service_failed]
        return sum(drawn) / max(len(drawn), 1)


@dataclass(frozen=True, kw_only=True)
class Result:
    """A finished cell. Everything is read when it is asked for."""

    folder: Path
    """Of its run."""
    cell_folder: Path
    seconds: float
    code: str
    commit: str
    processor: str
    finished: str
    """When: no two runs of a cell have the same."""
    needs: Mapping[str, str]
    """When what it was made from had finished, by the key of its cell."""

    @cached_property
    def summary(self) -> Mapping[str, object]:
        return json.loads((self.folder / "summary.json").read_text(encoding="utf-8"))

    @property
    def has_pictures(self) -> bool:
        """Not so where it comes from an archive."""
        return any(
            (folder / "pictures").is_dir() for folder in (self.folder, self.cell_folder / "out")
        )

    @cached_property
    def before(self) -> Answers:
        """The evaluation before the first step, of a run that learns."""
        return self._evaluation(0)

    @cached_property
    def after(self) -> Answers:
        """The one after its last step."""
        steps = self.summary["steps"]
        assert isinstance(steps, int)
        return self._evaluation(steps)

    @cached_property
    def figures(self) -> dict[str, dict[int, float]]:
        """Those of training, by name and step."""
        return read_figures(self.folder)

    def answers(
        self, *, tool: str, strategy: str, rounds: int, policy: str | Made | None = None
    ) -> Answers:
        """One way of those that a cell of ``evaluate.py`` has compared.

        Args:
            policy: as the cell's options name it; None for a strategy that asks none.

        Raises:
            KeyError: there is none, or more than one.
            ValueError: a file is damaged.
            OSError: one cannot be read.
        """
        cells = self.summary["cells"]
        assert isinstance(cells, list)
        found = [
            cell
            for cell in cells
            if (cell["tool"], cell["strategy"], cell["rounds"]) == (tool, strategy, rounds)
            and _is_policy(cell["policy"], policy)
        ]
        if len(found) != 1:
            raise KeyError(
                f"{self.cell_folder} has {len(found)} cells of {tool}, {policy}, {strategy}, "
                f"{rounds} pictures; wants one"
            )
        return self._scored(found[0]["answers"])

    def _evaluation(self, step: int) -> Answers:
        path = self.folder / f"evaluation-{step:06d}.jsonl"
        return Answers.of(read_outcomes(path, NamedPictures(self.folder / "pictures")))

    def _scored(self, digest: str) -> Answers:
        from genagent_rollout import AnswerFolder  # torch comes with it: seconds

        out = self.cell_folder / "out"
        [report] = (out / "cells").glob(f"{digest}-*.json")
        rows = json.loads(report.read_text(encoding="utf-8"))["requests"]
        store = NamedPictures(out / "pictures")
        answered = AnswerFolder(folder=out / "cells" / digest, pictures=store).read()
        outcomes, success = {}, {}
        for row in rows:
            passed = tuple(map(_passed, filter(None, row["all scores"].split(", "))))
            trajectory = answered[row["id"]].trajectory
            one = Outcome(trajectory=trajectory, passed=passed, source="truth")
            outcomes[row["id"]] = one
            score = row["score"]
            # "missing": nothing was drawn, which is no success unless the tool is to blame. A tool
            # that fails after a picture leaves the end unknown, as in a training's evaluation.
            known = None if one.service_failed or isinstance(score, str) else score >= 0.5
            success[row["id"]] = one.success if known is None else known
        return Answers(outcomes=outcomes, success=success)


def _passed(score: str) -> bool | None:
    return None if score == "-" else float(score) >= 0.5


def _is_policy(found: str | None, wanted: str | Made | None) -> bool:
    """Where a folder lies may have changed since; no evaluation is of two that were made."""
    if isinstance(wanted, Made):
        return found is not None and "/" in found
    return found == wanted
