"""The report of a run, read as a browser reads it: by a parser that knows what is markup."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from tests.browser import browsing
from tests.tracking.run_folders import WORDS, begin_folder, make_folder

import genagent_tracking.report
from genagent_tracking import write_report
from genagent_tracking.cli import main
from genagent_tracking.report import leave_failure, leave_report

HOSTILE = (
    "</title></style></p><script>alert(1)</script><img src=x onerror=alert(2)>"
    "\"'><svg/onload=alert(3)> &lt;b&gt; {{ 7*7 }} {% raw %} <!-- ]]> \x00\x1b[31m \u202e \ud800"
)


class Parsed(HTMLParser):
    """Elements with their attributes, and all text outside of the style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.style = self.text = ""
        self._open = ""
        self.feed(page)
        self.close()
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = tag
        self.text += " "

    def handle_data(self, data: str) -> None:
        if self._open == "style":
            self.style += data
        else:
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def having(self, words: str) -> list[dict[str, str | None]]:
        """Elements with all of these classes."""
        wanted = set(words.split())
        return [a for _, a in self.elements if wanted <= set((a.get("class") or "").split())]


def report(folder: Path) -> Parsed:
    return Parsed(write_report(folder).read_text(encoding="utf-8"))


def say(folder: Path, words: str) -> Path:
    """Have everybody in the folder say this instead, as a damaged or hostile run would."""
    for path in folder.glob("*.json*"):
        path.write_text(path.read_text().replace(json.dumps(WORDS), json.dumps(words)))
    return folder


def test_a_page_has_all_that_the_run_came_to(tmp_path):
    page = report(make_folder(tmp_path / "job-1"))
    for words in (
        "job-1 finished lr <3>",
        "25 % success before [5, 70] of 4 held-out requests",
        "50 % success after 6 steps [15, 85] of 4 held-out requests",
        "1 p of the paired test",
        "all 4 25 [5-70] 50 [15-85] 0 [0-49] 50 [15-85]",
        "reward mean of the attempts that are learnt from",
        "reward 0.4",  # the mean of 0.2 to 0.6
        f"Step 1: {WORDS} 2 of 3 attempts kept, mean reward 0.35, standard deviation 0.35.",
        "1 left out so that round counts are even, and not judged. Of this step's 2 groups 1 teach",
        "+1.00 reward 0.70 point +0.70",
        "None of this step's 2 groups teaches.",
        "-1.00 reward 0.00",
        "left out not judged resampled",
        "all 4 won 2 lost 1 wrong both times 1 every task count 1 color 3",
        "Broken turns in all steps: no action 12.",
        "Turns that break the protocol: 1",
        "Calls that the tool, or a model that was asked, failed: 1",
        "Verdicts that could not be had: 1",
        "run.tracker.uri a://h",
        "time 1.5 minutes",
    ):
        assert words in page.text, words
    assert [len(page.having(f"card {name}")) for name in ("won", "lost", "wrong", "right")] == [
        2,
        1,
        1,
        0,
    ]


def test_words_of_a_model_are_words_on_the_page(tmp_path):
    plain = report(make_folder(tmp_path / "plain"))
    hostile = report(say(make_folder(tmp_path / "hostile"), HOSTILE))

    def shape(page: Parsed) -> list[tuple[str, tuple[str, ...]]]:
        return [(tag, tuple(sorted(attributes))) for tag, attributes in page.elements]

    assert shape(hostile) == shape(plain)
    assert "<script>alert(1)</script><img src=x onerror=alert(2)>" in hostile.text
    assert "&lt;b&gt; {{ 7*7 }}" in hostile.text and "␀␛[31m \ufffd \ufffd" in hostile.text


def test_nothing_is_allowed_or_asked_from_elsewhere(tmp_path):
    path = write_report(say(make_folder(tmp_path / "job"), HOSTILE))
    page = Parsed(path.read_text(encoding="utf-8"))
    [policy] = [m["content"] for m in page.all("meta") if "http-equiv" in m]
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and "script-src" not in rules
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert rules["style-src"] == f"'sha256-{digest}'"
    assert not page.all("script") and not re.findall(r"https?://", path.read_text())
    names = [name for _, attributes in page.elements for name in attributes]
    assert not [name for name in names if name.startswith("on") or name == "style"]
    assert all((image["src"] or "").startswith("data:image/webp;") for image in page.all("img"))


def test_pictures_without_room_are_shown_from_their_files_those_that_changed_last(
    tmp_path, monkeypatch
):
    folder = make_folder(tmp_path / "job")
    drawn = [image["src"] or "" for image in report(folder).all("img")]
    monkeypatch.setattr(genagent_tracking.report, "ROOM", sum(map(len, set(drawn[:-3]))) + 1)
    page = report(folder)
    sources = [image["src"] or "" for image in page.all("img")]
    assert sources[:-3] == drawn[:-3]
    assert all((folder / source).is_file() for source in sources[-3:])
    assert len(set(sources[-3:])) == 2  # that of the last attempt is one of those before
    assert "2 pictures further down have no room in this page" in page.text


def test_a_failed_run_is_as_readable(tmp_path):
    page = report(begin_folder(tmp_path / "job", error=OSError("disk\nfull")))
    assert re.search(
        r"Failed \d{4}-\d\d-\d\d \d\d:\d\d:\d\d, after 5 steps: OSError: disk full", page.text
    )
    assert "25 % success before" in page.text and "success after" not in page.text
    assert "all 4 right 1" not in page.text and "all 4 wrong 3 right 1" in page.text
    assert page.having("columns") and page.having("chart")


def test_a_run_that_goes_on_has_a_page_too(tmp_path):
    assert "job not ended" in report(begin_folder(tmp_path / "job")).text


def damage(folder: Path, name: str, text: str) -> Path:
    make_folder(folder)
    (folder / name).write_text(text)
    return folder


def test_what_is_no_run_is_refused_in_one_line(tmp_path, capsys, monkeypatch):
    (tmp_path / "empty").mkdir()
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "config.json").write_text("{}")
    for folder, said in (
        (tmp_path / "missing", "is no run: it has no config.json; give a folder of runs/"),
        (tmp_path / "empty", "is no run"),
        (tmp_path / "begun", "has neither steps nor evaluations to report"),
        (damage(tmp_path / "a", "metrics.jsonl", '{"step": "x"}\n'), "metrics.jsonl:1: "),
        (damage(tmp_path / "b", "groups-000001.jsonl", "{}\n"), "groups-000001.jsonl:1: "),
        (damage(tmp_path / "c", "summary.json", "[]"), "summary.json holds a list"),
        (damage(tmp_path / "d", "failure.json", "{}"), "failure.json is no failure"),
    ):
        monkeypatch.setattr("sys.argv", ["genagent-tracking", "report", str(folder)])
        with pytest.raises(SystemExit) as ended:
            main()
        [line] = capsys.readouterr().err.strip().splitlines()
        assert (ended.value.code, said in line) == (2, True), line


def test_a_run_is_over_whether_its_page_can_be_made_or_not(tmp_path):
    folder = make_folder(tmp_path / "job")
    assert leave_report(folder) == f"report: {folder / 'report.html'}"
    (folder / "metrics.jsonl").write_text("{\n")
    line = leave_report(folder)
    assert line.startswith(f"no report ({folder / 'metrics.jsonl'}:1: ")
    assert line.endswith(f": uv run genagent-tracking report {folder}")


def test_what_is_wrong_with_the_disk_takes_no_other_errors_place(tmp_path):
    line = leave_failure(tmp_path / "gone", RuntimeError("no memory"), 3)
    assert line.startswith("no report (") and "No such file" in line


def test_without_a_truth_success_is_the_judges(tmp_path):
    folder = make_folder(tmp_path / "job")
    for path in folder.glob("evaluation-*.jsonl"):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        judged = [{**row, "source": "judge", "judged": None} for row in rows]
        path.write_text("".join(json.dumps(row) + "\n" for row in judged))
    page = report(folder)
    assert "25 % judged success before" in page.text
    assert "Judged success by the last and by the first picture" in page.text
    assert "a frame says what the judge said of a picture" in page.text
    assert "judge: wrong" in page.text and "truth: " not in page.text


def test_the_command_says_where_the_page_is(tmp_path, capsys, monkeypatch):
    folder = make_folder(tmp_path / "job")
    monkeypatch.setattr("sys.argv", ["genagent-tracking", "report", str(folder)])
    main()
    assert capsys.readouterr().out.strip() == str(folder / "report.html")


def test_filters_work_in_a_browser_without_a_script(tmp_path):
    path = write_report(say(make_folder(tmp_path / "job"), HOSTILE))
    with browsing(width=400) as page:
        faults: list[str] = []
        page.on("console", lambda message: faults.append(message.text))
        page.on("dialog", lambda dialog: faults.append(dialog.message))
        page.goto(path.as_uri())

        def shown() -> tuple[int, str]:
            cards = page.locator(".card:visible").count()
            script = "getComputedStyle(document.querySelector('.shown'), '::before').content"
            return cards, page.evaluate(script)

        assert shown()[0] == 4
        for label, count in (
            ("won", 2),
            ("lost", 1),
            ("wrong both times", 1),
            ("color 3", 1),  # of those that are wrong both times
            ("all 4", 3),
            ("every task", 4),
        ):
            page.locator(".filters label", has_text=label).first.click()
            assert shown()[0] == count, label
        assert page.locator("img").evaluate_all("all => all.every(one => one.naturalWidth === 8)")
        assert page.evaluate("document.documentElement.scrollWidth") == 400
        assert faults == []
