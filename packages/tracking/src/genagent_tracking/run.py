"""One run of an experiment: its folder, its record in MLflow, where it stands, and how it ends.

    runs/<experiment>-<time>/
        config.json         what starts it again
        mlflow_run          the MLflow run that it is recorded in
        made_with.json      what weights and data are, that its options only name
        pictures/           every picture drawn, by content
        evaluation-000000.jsonl …   outcomes of its evaluations, by step
        before.jsonl, after.jsonl   the first and the latest of them, for any reader of JSON
        metrics.jsonl       figures of each step
        groups-000001.jsonl …       attempts of some steps, with rewards and advantages
        drawn.sqlite, verdicts.sqlite   what tool and judge have answered; machine-1/ … have theirs
        state/step-000007/  what it goes on from, to the end or with more steps; the last few
        policies/step-000050/       with keep_every, what was learnt until then
        policy/             what was learnt
        summary.json        its figures
        failure.json        how it failed, until it goes on
        report.html         all of it as a page, written last
        lock                held by the process that runs it

Killed at any moment, it goes on from its latest state. An experiment says what it does between two
states; everything else about being a run is here.
"""

import json
import os
import resource
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from genagent_data import Funnel, PictureStore, Request, write_text
from genagent_tracking.config import config_to_json
from genagent_tracking.console import print_line, print_table
from genagent_tracking.interrupt import (
    TERMINATED,
    exit_code,
    go_on_when_terminated,
    raise_on_interrupt,
)
from genagent_tracking.journal import Journal
from genagent_tracking.made_with import MADE_WITH, note_made_with
from genagent_tracking.mlflow_tracker import MlflowTracker
from genagent_tracking.next_steps import ask_lines, mlflow_lines, trial_line
from genagent_tracking.progress import answer_progress, step_progress, waiting
from genagent_tracking.record import RunStatus
from genagent_tracking.results import (
    draw_example,
    show_funnel,
    show_results,
    success_line,
    unknown_lines,
)
from genagent_tracking.run_config import RunConfig
from genagent_tracking.run_folder import lock_folder, make_run_folder
from genagent_tracking.run_name import run_name
from genagent_tracking.states import Learner, Notes, States, copy_linked
from genagent_worlds import (
    GroupRecord,
    Outcome,
    World,
    compare,
    judged_again,
    read_outcomes,
    result_rows,
    summarize,
    with_judge,
    with_truth,
    write_outcomes,
)

Value = TypeVar("Value")
Evaluation = Callable[[Sequence[Request], Callable[[int, int], None]], list[Outcome]]
"""Answers requests; its second argument is to be told how many of them, and of how many, have been
answered."""


class Ranks(Protocol):
    """The processes of a run, as ``genagent_policy`` has them."""

    rank: int
    size: int

    def first(self, make: Callable[[], Value]) -> Value:
        """What the first of them makes, on all of them."""
        ...

    def part(self) -> None:
        """This one stops by itself."""
        ...


class Run:
    """See the module; ``run_experiment`` makes it and an experiment's ``main`` is given it."""

    def __init__(
        self,
        name: str,
        config: RunConfig,
        document: object,
        *,
        folder: Path | None = None,
        changes: str = "",
    ) -> None:
        """
        Args:
            document: the experiment's whole configuration.
            folder: an earlier run of it to go on with.
            changes: what is other than in the preset, for the run's name in MLflow.
        """
        self.name = name
        self.config = config
        self.step = 0
        """Steps taken."""
        self.has_begun = False
        """Everything that was given has been read: what fails now is no bad input."""
        self.next: list[str] = []
        """What is said at the end to do next, before the run's page in MLflow, a line each."""
        self._document = document
        self._changes = changes
        self._resumed = folder
        self._earlier_seconds = 0.0
        self._started = time.perf_counter()
        self._learner_is_whole = True
        self._loading = ExitStack()
        self._ranks: Ranks | None = None
        self._begins_at: Path | None = None

    def join(self, ranks: Ranks) -> None:
        """It is run by several processes, of which the first says where its folder is and which
        state is whole. Raises ValueError as ``state``."""
        if ranks.size > 1:
            self._ranks = ranks
            self._resumed, self._begins_at = ranks.first(lambda: (self.folder, self.state))

    @cached_property
    def folder(self) -> Path:
        """Made when it is first asked for, so that a refused start leaves nothing behind."""
        folder = self._resumed or make_run_folder(self.config.runs, self.name)
        self._lock = lock_folder(folder)
        write_text(folder / "config.json", config_to_json(self._document))
        return folder

    @cached_property
    def pictures(self) -> PictureStore:
        return PictureStore(self.folder / "pictures")

    @cached_property
    def memory(self) -> Path:
        """Folder of the databases of what was drawn and judged. SQLite's processes share memory, so
        that each machine but the first has its own, by torchrun's or DeepSpeed's number of it."""
        number = os.environ.get("GROUP_RANK") or os.environ.get("CROSS_RANK") or "0"
        machine = number if self._ranks is not None else "0"
        folder = self.folder if machine == "0" else self.folder / f"machine-{machine}"
        folder.mkdir(exist_ok=True)
        return folder

    def made_with(self, **names: str) -> None:
        """Note what it learns from that its options only name, such as a digest of weights.

        Raises:
            ValueError: something was made with another before, or on another machine is another.
        """
        self._first(partial(self._note, names))

    def _note(self, names: Mapping[str, str]) -> Mapping[str, str]:
        if self.state is None and not (self.folder / "evaluation-000000.jsonl").exists():
            (self.folder / MADE_WITH).unlink(missing_ok=True)  # nothing has come of it yet
        note_made_with(self.folder, names, instead="leave --resume out")
        return names

    @cached_property
    def _states(self) -> States:
        keep = self.config.keep_checkpoints
        return States(self.folder / "state", keep=keep, say=print_line)

    @property
    def state(self) -> Path | None:
        """What it goes on from; None at the beginning. Raises ValueError where there are states
        and none of them is whole."""
        return self._states.latest

    @property
    def saved_policy(self) -> Path | None:
        """The weights to go on from; a folder as ``from_pretrained`` reads it. Raises as
        ``state``."""
        return None if self.state is None else self.state / "policy"

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Show that it is loading until it has begun, or the block ends."""
        with self._loading:
            self._loading.enter_context(waiting("loading"))
            yield

    def _begin(self) -> None:
        """What fails from here on is no bad input, and Ctrl-C and SIGTERM are exceptions that clean
        up."""
        self.has_begun = True
        raise_on_interrupt()

    @contextmanager
    def recording(self, learner: Learner | None = None) -> Iterator[None]:
        """Record what happens inside. Ctrl-C and SIGTERM end it cleanly, with what was learnt by
        then; where nothing learns, whatever is inside keeps its own state.

        Raises:
            SystemExit: after SIGTERM (143), when everything is kept.
        """
        if learner is not None and self.state is not None:
            learner.restore(self.state)
            notes = self._states.notes
            assert notes is not None
            self.step, self._earlier_seconds = notes.step, notes.seconds
        if learner is not None:
            self._learner = learner
        self._begin()
        self.tracker = self._open_tracker()  # seconds, the first time
        learns = learner is not None
        self._journal = Journal(self.name, self.folder, self.tracker, learns=learns, kept=self.kept)
        self._loading.close()
        self.say(run_name(self.folder.name, self._changes))
        status: RunStatus = "failed"
        try:
            yield
            status = "finished"
        except KeyboardInterrupt:
            status = "killed"
            if self._ranks is not None:
                self._ranks.part()
            if learner is None:
                print_line("stopped; the same command goes on")
            else:
                # Several processes stop at different places, and a state takes all of them.
                if self._learner_is_whole and self._ranks is None:
                    self._keep_state()
                print_line(
                    f"stopped after step {self.kept}; the same command with --resume goes on"
                )
            self._conclude("killed", {})
            if exit_code() == TERMINATED:
                raise SystemExit(TERMINATED) from None
        except Exception as error:
            if self._ranks is not None:
                go_on_when_terminated()
                self._ranks.part()
            print_line(self._journal.failed(error, self.step, kept=self.kept))
            raise
        finally:
            self._journal.close(status)
            self.close()

    def steps(self, total: int) -> Iterator[int]:
        """The steps still to be taken, from 0; when the body of one ends, its state is kept."""
        often = [self.config.checkpoint_every, self.config.keep_every or total]
        with step_progress(total, done=self.step) as progress:
            self._keep_policy()  # a kill may have come between the state and its policy
            for step in range(self.step, total):
                self._metrics: dict[str, float] = {}
                yield step
                self.step = step + 1  # where the body has no update of its own
                if any(self.step % every == 0 for every in often) or self.step == total:
                    self._keep_state()
                    self._keep_policy()
                progress.advance(self._metrics)

    @contextmanager
    def update(self) -> Iterator[None]:
        """The learner changes inside, and has taken a step when this ends. Ctrl-C within it goes
        back to the state before: half an update is no policy to keep."""
        self._learner_is_whole = False
        yield
        self.step += 1
        self._learner_is_whole = True

    def log(self, *parts: Mapping[str, float]) -> None:
        """Record the figures of the step that has just been taken."""
        for part in parts:
            self._metrics.update(part)
        self._journal.log(self._metrics, self.step)

    def show(self, world: World, groups: Sequence[GroupRecord], *, count: int = 6) -> None:
        """Every so many steps, keep the step's groups in the folder, with the truth, and put some
        attempts and a group side by side into MLflow."""
        if (self.step - 1) % self.config.trajectories_every:
            return
        self._journal.groups(with_truth(world, groups), self.step, count=count, words=world.words)

    def evaluate(
        self,
        step: int,
        world: World,
        requests: Sequence[Request],
        evaluation: Evaluation,
    ) -> list[Outcome]:
        """The outcomes of the evaluation after so many steps, from the run's folder where it was
        made before; the judge is asked again about pictures that it gave no verdict on.

        Raises:
            ValueError: what was kept of it is damaged, of other requests, or gone, so that it
                cannot be made again.
        """
        path = self.folder / f"evaluation-{step:06d}.jsonl"
        if self._first(path.exists):
            outcomes = read_outcomes(path, self.pictures)
            if [one.request.id for one in outcomes] != [request.id for request in requests]:
                raise ValueError(
                    f"{path} is of other held-out requests than are asked for now; begin a new run"
                )
            if any(None in one.passed for one in outcomes):
                outcomes = judged_again(world, outcomes)
                write_outcomes(path, outcomes)
                for line in unknown_lines(outcomes):
                    print_line(line)
        elif step < self.step:
            raise ValueError(
                f"{path} is gone, and the policy of step {step} has learnt since; put it back, or "
                "begin a new run"
            )
        else:
            outcomes = self._evaluate(step, world, requests, evaluation)
            write_outcomes(path, outcomes)
        self._journal.evaluated(outcomes, step, words=world.words)
        return outcomes

    def _evaluate(
        self,
        step: int,
        world: World,
        requests: Sequence[Request],
        evaluation: Evaluation,
    ) -> list[Outcome]:
        title = f"evaluating after {step} steps"
        with answer_progress(title, len(requests)) as progress:
            outcomes = evaluation(requests, progress.answered)
        self.say(success_line(outcomes))
        for line in unknown_lines(outcomes):
            print_line(line)
        return with_judge(world, outcomes)

    def table(self, name: str, title: str, rows: Sequence[Mapping[str, str]]) -> None:
        """Show rows of equal columns, and keep them with the run under ``name``."""
        self.say_table(title, rows, has_total=False)
        self.tracker.table(name, rows)

    def say(self, text: str) -> None:
        """A line of what has come out, which a trial keeps to itself."""
        if not self.config.trial:
            print_line(text)

    def say_table(
        self,
        title: str,
        rows: Sequence[Mapping[str, str]],
        *,
        has_total: bool = True,
        words: int = 1,
    ) -> None:
        """A table of what has come out, as ``print_table`` shows it, likewise."""
        self._journal.table(title, rows)
        if not self.config.trial:
            print_table(title, rows, has_total=has_total, words=words)

    def conclude(
        self,
        before: Sequence[Outcome],
        after: Sequence[Outcome],
        figures: Mapping[str, Any] | None = None,
        *,
        asking: Sequence[str] = (),
    ) -> None:
        """Show what learning changed, and end the run with its summary, to which ``figures`` are
        added.

        Args:
            asking: what ``generate.py`` is told besides the policy, to draw with the same tool.
        """
        is_trial = self.config.trial
        rows = result_rows(before, after) if is_trial else show_results(before, after)
        self._journal.compared(before, after, rows, self.kept)
        example = self.folder / "before_after.png"
        if draw_example(example, before, after):
            self.tracker.artifact(example)
            self.say(f"one request before and after: {example}")
        prompt = min((outcome.request.prompt for outcome in before), key=len)
        self.next += ask_lines(self.folder / "policy", prompt, asking)
        compared = {"before": summarize(before), **compare(before, after)}
        self._conclude("finished", {**compared, **(figures or {})})

    def conclude_funnel(self, funnel: Funnel, folder: Path) -> None:
        """Show what a synthesis has kept and dropped, and end its run with its summary.

        Args:
            folder: of the records and their data card.
        """
        rows = funnel.rows() if self.config.trial else show_funnel(funnel)
        self._journal.synthesized(funnel, rows, folder)
        self.say(f"records, pictures and data card: {folder}")
        self._conclude("finished", {"out": str(folder), **funnel.figures()})

    def finish(self, figures: Mapping[str, Any]) -> None:
        """End a run that learns nothing with its summary."""
        self._conclude("finished", figures)

    def _conclude(self, status: RunStatus, figures: Mapping[str, Any]) -> None:
        policy = self.folder / "policy"
        if self.saved_policy is not None:
            copy_linked(self.saved_policy, policy)
        summary = {
            "experiment": self.name,
            "status": status,
            "seed": self.config.seed,
            "changed": self._changes,
            "steps": self.kept,
            "policy": str(policy) if policy.exists() else None,
            "mlflow_run": self.tracker.run_id,
            **figures,
            "seconds": self._run_seconds,
            "peak_memory_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        }
        path = self.folder / "summary.json"
        write_text(path, json.dumps(summary, indent=2))
        self.tracker.artifact(path)
        self.next += self._journal.ended(status, figures, kept=self.kept)
        self._say_next(status)
        print_line(str(path))

    def _say_next(self, status: RunStatus) -> None:
        if self.config.trial and status == "finished":
            print_line(trial_line(self.name, self.kept))
            return
        print_line("next:")
        for line in (*self.next, *mlflow_lines(self.tracker)):
            print_line(f"  {line}")

    def close(self) -> None:
        """Let another process go on with the folder; a process that ends does so by itself."""
        self._lock.close()

    @property
    def kept(self) -> int:
        """Steps in the latest state."""
        notes = self._states.notes
        return 0 if notes is None else notes.step

    def _keep_state(self) -> None:
        if self.step > self.kept:
            notes = Notes(step=self.step, seconds=self._run_seconds)
            self._states.keep(self._learner, notes)

    def _keep_policy(self) -> None:
        every, policy = self.config.keep_every, self.folder / "policies" / f"step-{self.kept:06d}"
        if every is None or self.kept == 0 or self.kept % every or policy.exists():
            return
        assert self.saved_policy is not None
        policy.parent.mkdir(exist_ok=True)
        copy_linked(self.saved_policy, policy)

    def _first(self, make: Callable[[], Value]) -> Value:
        return make() if self._ranks is None else self._ranks.first(make)

    @property
    def _run_seconds(self) -> float:
        return self._earlier_seconds + time.perf_counter() - self._started

    def _open_tracker(self) -> MlflowTracker:
        kept = self.folder / "mlflow_run"
        config = self.config.tracker
        named = config.run_name or run_name(self.folder.name, self._changes)
        return MlflowTracker(
            replace(config, experiment=config.experiment or self.name, run_name=named),
            run_config=self._document,
            seed=self.config.seed,
            changes=self._changes,
            run_id=kept.read_text(encoding="utf-8") if kept.exists() else None,
            created=lambda run_id: write_text(kept, run_id),
        )
