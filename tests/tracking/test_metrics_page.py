"""Every metric is explained once; what runs log is held against it by the runs' own tests."""

import re
from pathlib import Path

from tests.tracking.metrics_page import PAGE, documented, undocumented

from genagent_tracking.curves import CHARTS
from genagent_tracking.progress import SHOWN

PACKAGES = Path(__file__).parents[2] / "packages"


def test_no_metric_is_explained_twice_and_each_line_is_whole():
    names = documented()
    assert len(names) == len(set(names)) > 60
    lines = [line for line in PAGE.read_text().splitlines() if re.match(r"\| `\w+/", line)]
    for line in lines:
        _, name, unit, meaning, _, _ = (cell.strip() for cell in line.split("|"))
        assert unit and meaning, name


def test_no_line_is_of_a_metric_that_nothing_logs():
    source = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGES.rglob("src/**/*.py"))
    words = set(re.findall(r"\w+", source))
    for name in documented():
        last = re.sub(r"(_(before|after)$|^first_(?=judged)|<\w+>$)", "", name.split("/")[-1])
        assert not last or last in words, name


def test_what_bars_and_reports_show_has_a_line():
    shown = {*SHOWN.values(), *(name for *_, wanted in CHARTS for _, name in wanted)}
    assert undocumented(shown) == {"loss"}  # of the miniature's build, which is in no store


def test_a_metric_without_a_line_is_found():
    logged = ["agent/success", "format_error/no_action", "mismatch/logprob_turn_4", "system/cpu"]
    assert undocumented(logged) == set()
    assert undocumented(["agent/luck", "mismatch/logprob_turn_"]) == {
        "agent/luck",
        "mismatch/logprob_turn_",
    }
