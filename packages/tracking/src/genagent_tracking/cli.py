"""The command line: ``genagent-tracking report runs/<run>``.

Bad input ends with one line and exit code 2.
"""

from dataclasses import dataclass
from pathlib import Path

import tyro

from genagent_tracking.console import print_line
from genagent_tracking.experiment import stop
from genagent_tracking.report import write_report


@dataclass(frozen=True, kw_only=True)
class Report:
    """Make the report of a run, which a run makes itself when it ends: one HTML page in its folder.

    genagent-tracking report runs/rl_flux-20260301-123007
    """

    run: tyro.conf.Positional[Path]
    """Its folder."""


def main() -> None:
    """The program."""
    given = tyro.extras.subcommand_cli_from_dict({"report": Report}, prog="genagent-tracking")
    try:
        print_line(str(write_report(given.run)))
    except (ValueError, OSError) as error:
        stop([error], 2)
