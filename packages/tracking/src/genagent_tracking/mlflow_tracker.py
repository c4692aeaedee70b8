"""One MLflow run for one experiment: parameters, figures, pictures, trajectories, machine load.

A figure that is not finite is left out, with one warning for each name: MLflow would draw an
infinity as 1e308 and flatten the chart. Traces are written by MLflow's own threads; ``close`` waits
for them and says so where some did not arrive.
"""

import contextlib
import json
import logging
import math
import os
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from genagent_endpoints import has_credentials, public_url
from genagent_tracking.config import config_to_json, flatten_config
from genagent_tracking.messages import chat_messages
from genagent_tracking.mlflow_experiment import find_experiment
from genagent_tracking.pictures import data_url, enlarged, picture_grid
from genagent_tracking.provenance import source_tags
from genagent_tracking.record import (
    PersonFeedback,
    RunStatus,
    TrackingError,
    TrajectoryRecord,
)
from genagent_tracking.run_note import NOTE
from genagent_tracking.store import (
    DEFAULT_URI,
    check_store,
    clear_errors,
    one_at_a_time,
    resolve_uri,
    restore,
    silence,
)
from genagent_tracking.traces import log_feedback, person_items, write_trace

if TYPE_CHECKING:
    from mlflow.entities import Trace
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

_LOGGER = logging.getLogger(__name__)
_PARAMETERS_IN_BATCH = 100
_TRACES_AT_ONCE = 100
_STATUS = {"finished": "FINISHED", "killed": "KILLED", "failed": "FAILED"}


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackerConfig:
    """Where a run is recorded."""

    experiment: str | None = None
    """Runs of one experiment are compared on one page; None is the script's name."""
    run_name: str | None = None
    """None is the name of the run's folder, with the options that differ from the preset's."""
    uri: str | None = None
    """Store; None is the environment's MLFLOW_TRACKING_URI, or else sqlite:///mlflow.db here."""
    system_seconds: float = 0.0
    """Seconds between two looks at processor, memory and GPU; 0 takes none, for MLflow's page of a
    run would begin with them."""

    def __post_init__(self) -> None:
        if self.experiment is not None and not self.experiment.strip():
            raise ValueError("experiment is empty; give the experiment a name")
        if self.uri is not None and has_credentials(self.uri):
            raise ValueError(
                f"uri has credentials for {public_url(self.uri)}, and is written down; put it into "
                "the environment variable MLFLOW_TRACKING_URI"
            )
        if not (math.isfinite(self.system_seconds) and self.system_seconds >= 0):
            raise ValueError(
                f"system_seconds is {self.system_seconds}; wants seconds, or 0 for none"
            )

    def check(self) -> None:
        """Raises TrackingError where the store does not answer or cannot be written; MLflow itself,
        which takes seconds, is not loaded."""
        uri = resolve_uri(self.uri)
        with one_at_a_time(uri):
            check_store(uri)


class MlflowTracker:
    """A running MLflow run, open from construction to ``close``.

    Sets MLflow's process-wide tracking address, because traces know no other; until it is closed,
    MLflow logs errors only. MLflow's usage reports are off unless ``MLFLOW_DISABLE_TELEMETRY`` says
    otherwise.

    Raises:
        ValueError: the run's configuration cannot be written as JSON.
        TrackingError: the store cannot be used; also from every method.
    """

    def __init__(
        self,
        config: TrackerConfig,
        *,
        run_config: object,
        seed: int | None = None,
        changes: str = "",
        run_id: str | None = None,
        created: Callable[[str], None] | None = None,
    ) -> None:
        """
        Args:
            changes: options that differ from the preset's; what tells one run from another, as a
                tag, for lists cut a run's name.
            run_id: an earlier run of this configuration to go on with, instead of a new one.
            created: told the id of a new run before anything else is written to it.
        """
        parameters, document = flatten_config(run_config), config_to_json(run_config)
        self.uri = resolve_uri(config.uri)
        config.check()
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        self._dropped: set[str] = set()
        self._goes_on = run_id is not None
        self._earlier: dict[str, set[int]] = {}
        self._trace_ids: list[str] = []
        self._is_open = True

        import mlflow

        self._levels = silence()
        try:
            with one_at_a_time(self.uri), clear_errors(self.uri):
                mlflow.set_tracking_uri(self.uri)
                self._client = mlflow.MlflowClient(self.uri)
                if run_id is None:
                    self.experiment_id = find_experiment(
                        self._client, self.uri, config.experiment or "genagent"
                    )
                    about = {"seed": "" if seed is None else str(seed), "changed": changes}
                    tags = source_tags() | {name: value for name, value in about.items() if value}
                    run = self._client.create_run(
                        self.experiment_id, tags=tags, run_name=config.run_name
                    )
                else:
                    self._client.update_run(run_id, status="RUNNING")
                    run = self._client.get_run(run_id)
                    self.experiment_id = run.info.experiment_id
                self.run_id = run.info.run_id
            if run_id is None and created is not None:
                created(self.run_id)
        except BaseException:  # Ctrl-C too must leave logging as it was; nothing is swallowed
            restore(self._levels)
            raise
        self._monitor: SystemMetricsMonitor | None = None
        try:
            with self._writing():
                # A process that was killed may have got no further than the run itself; those that
                # are there stay, for MLflow takes no other value.
                missing = {n: v for n, v in parameters.items() if n not in run.data.params}
                if missing:
                    self._log_parameters(missing)
                    self._client.log_text(self.run_id, document, "config.json")
        except BaseException:  # nor a run that looks as if it were going on
            with contextlib.suppress(TrackingError):
                self.close("failed")
            raise
        self._monitor = _start_monitor(self.run_id, config.system_seconds, self.uri)

    @property
    def ui_command(self) -> str:
        """The command that opens this store's pages."""
        if self.uri == DEFAULT_URI:
            return "uv run mlflow ui"
        if self.uri.startswith(("http://", "https://")):
            return f"open {public_url(self.uri)}"
        return f"uv run mlflow ui --backend-store-uri {shlex.quote(public_url(self.uri))}"

    def log_once(self, metrics: Mapping[str, float], step: int) -> None:
        """The same of figures that follow from the run and its step alone: what an earlier process
        has recorded is not recorded again, for MLflow keeps both points and draws them."""
        new = {name: value for name, value in metrics.items() if not self._has(name, step)}
        if new:
            self.log(new, step)

    def has_logged(self, metrics: Mapping[str, float], step: int) -> bool:
        """Whether an earlier process has recorded each of these figures of this step."""
        finite = [name for name, value in metrics.items() if math.isfinite(value)]
        return all(self._has(name, step) for name in finite)

    def earlier_trajectories(self) -> dict[str, dict[str, str]]:
        """Tags of each trajectory that earlier processes have recorded, by the trace's id."""
        if not self._goes_on:
            return {}
        with self._writing():
            return {trace.info.trace_id: dict(trace.info.tags) for trace in self._find_traces()}

    def forget_trajectories(self, trace_ids: Sequence[str]) -> None:
        """Take trajectories out of the run, of steps that are taken again."""
        with self._writing():
            for start in range(0, len(trace_ids), _TRACES_AT_ONCE):
                part = list(trace_ids[start : start + _TRACES_AT_ONCE])
                self._client.delete_traces(self.experiment_id, trace_ids=part)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Record one step's figures in one write; those that are not finite are left out."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        finite = []
        for name, value in metrics.items():
            if math.isfinite(value):
                finite.append(Metric(name, float(value), now, step))
            elif name not in self._dropped:
                self._dropped.add(name)
                _LOGGER.warning("%s is %s at step %d and is left out of MLflow", name, value, step)
        with self._writing():
            self._client.log_batch(self.run_id, metrics=finite)

    def trajectories(self, items: Sequence[TrajectoryRecord], step: int) -> list[str]:
        """Record each trajectory as a trace of this run, tagged with its step and ending; the
        traces' ids.

        Raises:
            ValueError: a trajectory has more rounds than turns.
            OSError: a picture's file cannot be read.
        """
        ids = []
        for item in items:
            messages = chat_messages(
                item.trajectory,
                item.turns,
                lambda picture: data_url(picture.image),
                tool_syntax=item.tool_syntax,
                words=item.words,
            )
            with self._writing():
                trace_id = write_trace(
                    item,
                    messages,
                    step=step,
                    experiment_id=self.experiment_id,
                    run_id=self.run_id,
                )
                self._trace_ids.append(trace_id)
            ids.append(trace_id)
        return ids

    def tag_trajectories(self, tags: Mapping[str, Mapping[str, str]]) -> None:
        """Add tags, by the trajectory's id of ``trajectories``, to be found by."""
        import mlflow

        with self._writing():
            mlflow.flush_trace_async_logging()
            for trace_id, added in tags.items():
                for name, value in added.items():
                    self._client.set_trace_tag(trace_id, name, value)

    def feedback(self, trace_id: str, feedback: PersonFeedback) -> None:
        """Record what a person says of a trajectory; it is in the store when this returns.

        Args:
            trace_id: of ``trajectories``.
        """
        import mlflow

        with self._writing():
            mlflow.flush_trace_async_logging()
            for item in person_items(feedback):
                log_feedback(trace_id, item)

    def images(self, key: str, grid: Image.Image | Sequence[Image.Image], step: int) -> None:
        """Record a picture, or several as a grid, as ``<key>/step-000007.png`` among the run's
        files. MLflow's own slider of steps shows all parameters of the run above a picture: with
        75 of them none of it was left to see (3.17)."""
        image = enlarged(grid) if isinstance(grid, Image.Image) else picture_grid(grid)
        with self._writing():
            self._client.log_image(self.run_id, image, f"{key}/step-{step:06d}.png")

    def note(self, markdown: str) -> None:
        """What stands at the top of the run's page; it takes the place of what stood there."""
        with self._writing():
            self._client.set_tag(self.run_id, NOTE, markdown)

    def artifact(self, path: Path) -> None:
        """Keep a copy of a file or folder with the run.

        Raises:
            FileNotFoundError: there is nothing at ``path``.
        """
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist; write it before keeping a copy")
        with self._writing():
            self._client.log_artifact(self.run_id, str(path))

    def table(self, name: str, rows: Sequence[Mapping[str, str | float]]) -> None:
        """Keep rows of equal columns as ``<name>.json``, which the page shows as a table; rows that
        an earlier part of the run has kept under that name are replaced."""
        columns = {key: [row[key] for row in rows] for key in (rows[0] if rows else ())}
        path = f"{name}.json"
        with self._writing():
            kept = self._client.get_run(self.run_id).data.tags.get("mlflow.loggedArtifacts", "[]")
            if any(one["path"] == path for one in json.loads(kept)):
                # MLflow's own call would add these rows to those.
                data = [[row[key] for key in columns] for row in rows]
                text = json.dumps({"columns": list(columns), "data": data})
                self._client.log_text(self.run_id, text, path)
            else:
                self._client.log_table(self.run_id, columns, path)

    def close(self, status: RunStatus = "finished") -> None:
        """Write what is waiting and end the run; closing twice does nothing.

        Raises:
            TrackingError: the store failed, or trajectories did not arrive in it.
        """
        import mlflow

        if not self._is_open:
            return
        self._is_open = False
        try:
            if self._monitor is not None:
                self._monitor.finish()
            with clear_errors(self.uri):
                mlflow.flush_trace_async_logging(terminate=True)
                # The exporter that was ended would swallow the traces of a later run.
                mlflow.tracing.reset()
                self._client.set_terminated(self.run_id, status=_STATUS[status])
                lost = self._count_lost()
        finally:
            restore(self._levels)
        if lost:
            raise TrackingError(
                f"{lost} of {len(self._trace_ids)} trajectories did not arrive in the MLflow store "
                f"{public_url(self.uri)}; check its disk"
            )

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        if not self._is_open:
            raise TrackingError(f"run {self.run_id} is closed; record before closing it")
        with clear_errors(self.uri):
            yield

    def _log_parameters(self, parameters: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        items = [Param(name, value) for name, value in parameters.items()]
        for start in range(0, len(items), _PARAMETERS_IN_BATCH):
            batch = items[start : start + _PARAMETERS_IN_BATCH]
            self._client.log_batch(self.run_id, params=batch)

    def _has(self, name: str, step: int) -> bool:
        if not self._goes_on:
            return False
        if name not in self._earlier:
            with self._writing():
                points = self._client.get_metric_history(self.run_id, name)
            self._earlier[name] = {point.step for point in points}
        return step in self._earlier[name]

    def _count_lost(self) -> int:
        if not self._trace_ids:
            return 0
        arrived = {trace.info.trace_id for trace in self._find_traces()}
        return len(set(self._trace_ids) - arrived)

    def _find_traces(self) -> Iterator["Trace"]:
        page = None
        while True:
            found = self._client.search_traces(
                locations=[self.experiment_id],
                run_id=self.run_id,
                include_spans=False,
                page_token=page,
            )
            yield from found
            page = found.token
            if not page:
                break


def _start_monitor(run_id: str, seconds: float, uri: str) -> "SystemMetricsMonitor | None":
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    if seconds == 0:
        return None
    monitor = SystemMetricsMonitor(
        run_id,
        sampling_interval=seconds,  # pyright: ignore[reportArgumentType] # unannotated, any wait
        tracking_uri=uri,
    )
    monitor.start()
    return monitor
