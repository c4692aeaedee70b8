"""A run's report: one HTML page in its folder, whole in itself, without MLflow and scripts."""

from pathlib import Path
from typing import Any

from genagent_data import PictureStore, write_text
from genagent_endpoints import public_url
from genagent_tracking.curves import charts
from genagent_tracking.failure import error_line, write_failure
from genagent_tracking.pages import Pages
from genagent_tracking.report_failures import broken_turns, failure_groups
from genagent_tracking.report_groups import telling_groups
from genagent_tracking.report_held_out import CHANGES_ALONE, held_out_view
from genagent_tracking.results import CHANGES
from genagent_tracking.run_folder import config_leaves
from genagent_tracking.run_record import RunRecord, read_run
from genagent_tracking.thumbnails import Thumbnails
from genagent_worlds import paired_p_value, rate, result_rows, success_name

ROOM = 2_000_000
"""Characters of pictures within a page; the words of 450 requests of the miniature are 1.3 MB."""


def report_file(folder: Path) -> Path:
    """Where a run keeps its report."""
    return folder / "report.html"


def write_report(folder: Path) -> Path:
    """Make the report of what a run's folder has by now; returns its file.

    Raises:
        ValueError: it is no folder of a run, or has nothing to report, or a file is damaged.
        OSError: a file cannot be read, or the report not be written.
    """
    run = read_run(folder)
    thumbnails = Thumbnails(ROOM, PictureStore(Path("pictures")))
    groups = telling_groups(run.groups, thumbnails)
    held_out = None
    if run.before:
        steps = max(run.evaluations)
        held_out = held_out_view(run.before, run.after, thumbnails, steps=steps)
    page = Pages(styles=("report.css",)).render(
        "report.html.j2",
        rules=held_out.rules if held_out else "",
        run=run,
        headline=_headline(run),
        charts=charts(run.figures, run.evaluations),
        rows=result_rows(run.before, run.after) if run.after else [],
        groups=groups,
        held_out=held_out,
        outside=thumbnails.outside,
        failures=failure_groups(run),
        broken=broken_turns(run.figures),
        about=_about(run),
        options={
            name: public_url(str(value)) for name, value in config_leaves(dict(run.config)).items()
        },
        trial=bool(run.config.get("run", {}).get("trial")),
        changes={**CHANGES, **({} if run.after else CHANGES_ALONE)},
    )
    path = report_file(folder)
    write_text(path, page)
    return path


def leave_report(folder: Path) -> str:
    """Make the report at the end of a run, which is over whether it can be made or not; returns the
    line that says where it is, or why it is not."""
    from jinja2 import TemplateError  # not above, as in pages.py

    try:
        return f"report: {write_report(folder)}"
    # Templates are read now, and may be of another version than this process: it ran for days.
    except (OSError, ValueError, TemplateError) as error:
        return (
            f"no report ({' '.join(str(error).split())}): uv run genagent-tracking report {folder}"
        )


def leave_failure(folder: Path, error: BaseException, step: int) -> str:
    """The same of a run that fails, with its failure; what is wrong with the disk takes no other
    error's place."""
    try:
        write_failure(folder, error, step)
    except OSError as fault:
        return f"no report ({error_line(fault)})"
    return leave_report(folder)


def _headline(run: RunRecord) -> dict[str, Any]:
    """Success before and after, and how sure that is."""
    if not run.before:
        return {}
    sides = [("before", run.before), (f"after {max(run.evaluations)} steps", run.after)]
    known = [(title, rate([o.success for o in found])) for title, found in sides if found]
    name = success_name(run.before[0].source).replace("_", " ")
    p_value = paired_p_value(run.before, run.after) if run.after else None
    return {"name": name, "sides": known, "p_value": p_value}


def _about(run: RunRecord) -> dict[str, str]:
    summary = run.summary
    about = {
        "run": run.name,
        "experiment": summary.get("experiment"),
        "policy": summary.get("policy"),
    }
    if "seconds" in summary:
        about["time"] = f"{summary['seconds'] / 60:.1f} minutes"
    if "peak_memory_gib" in summary:
        about["peak memory"] = f"{summary['peak_memory_gib']:.1f} GiB"
    about["seed"] = summary.get("seed")
    about["MLflow run"] = summary.get("mlflow_run")
    return {name: str(value) for name, value in about.items() if value is not None}
