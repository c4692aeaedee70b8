"""The command line: ``genagent-tracking report runs/<run>``, ``… compare runs/<run> runs/<run>``.

Bad input ends with one line and exit code 2.
"""

from dataclasses import dataclass
from pathlib import Path

import tyro

from genagent_tracking.console import print_line
from genagent_tracking.experiment import stop
from genagent_tracking.report import write_report
from genagent_tracking.run_comparison import compare_runs


@dataclass(frozen=True, kw_only=True)
class Report:
    """Make the report of a run, which a run makes itself when it ends: one HTML page in its folder.

    genagent-tracking report runs/rl_flux-20260301-123007
    """

    run: tyro.conf.Positional[Path]
    """Its folder."""


@dataclass(frozen=True, kw_only=True)
class Compare:
    """Runs side by side, each against the first, on the same held-out requests: success by the last
    and by the first picture, failed first pictures that were mended, pictures a request.

    genagent-tracking compare runs/rl_flux-20260301-123007 runs/rl_flux-20260301-131508
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Their folders."""


def main() -> None:
    """The program."""
    given = tyro.extras.subcommand_cli_from_dict(
        {"report": Report, "compare": Compare}, prog="genagent-tracking"
    )
    try:
        if isinstance(given, Compare):
            compare_runs(given.runs)
        else:
            print_line(str(write_report(given.run)))
    except (ValueError, OSError) as error:
        stop([error], 2)
