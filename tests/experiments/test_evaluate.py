"""Benchmarks are run as people run them: in the miniature, with servers, killed half way."""

import json
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.experiments.running import only_run, run, start, summary_of
from tests.judge_server import Answer, pictures_in, serving
from tests.picture_server import answering
from tests.picture_server import right as drawn
from tests.worlds.benchmark_files import geneval_rows, write_lines, write_wise

SCRIPT = "evaluate.py"
ROWS = 7
GRADES = "Consistency: 2\nRealism: 2\nAesthetic Quality: 2"
"""Of WISE's judge."""


def is_right(picture: Image.Image) -> bool:
    return picture.convert("RGB").tobytes()[0] % 2 == 0


def official(body: dict[str, Any], number: int) -> Answer:
    """GenEval++'s judge, who goes by a pixel."""
    correct = int(is_right(pictures_in(body)[0]))
    return Answer(words=json.dumps({"correct": correct, "reason": "seen"}))


def options(folder: Path, painter: str, judge: str, *more: str) -> list[str]:
    rows = write_lines(folder / "Geneval++.jsonl", geneval_rows())
    return [
        *("flux-7b", "--bench", "geneval++", "--file", str(rows), "--out", "out"),
        *("--world.tool", painter, "--world.judge", judge, "--world.judge-model", "eyes"),
        *("--strategy", "plain", "best-of", "--best-of", "2", *more),
    ]


def test_the_miniature_by_its_truth_and_again_for_nothing(tmp_path: Path):
    first = run(SCRIPT, tmp_path, "smoke", "--no-trial")
    assert first.returncode == 0, first.stderr
    assert first.stderr == ""
    summary, _ = summary_of(first.stdout, tmp_path)
    plain, agent = summary["cells"]
    assert (plain["strategy"], agent["strategy"], agent["policy"]) == ("plain", "agent", "sft")
    assert plain["table"]["categories"]["overall"]["n"] == 18
    assert (
        agent["diagnostics"]["pictures"]["value"] > 1 == plain["diagnostics"]["pictures"]["value"]
    )
    assert "against plain, same requests and seeds" in first.stdout
    assert max(len(line) for line in first.stdout.splitlines()) <= 80
    files = {path: path.read_bytes() for path in (tmp_path / "evaluated-smoke").rglob("*.jsonl")}

    other = run(SCRIPT, tmp_path, "smoke", "--no-trial", "--strategy", "first-prompt", "--compare")
    assert other.returncode == 0, other.stderr
    assert all(path.read_bytes() == content for path, content in files.items())
    shown = [line.split("  ")[0].strip() for line in other.stdout.splitlines()]
    assert {"first-prompt", "plain", "agent, 2 rounds"} <= set(shown)


def test_a_benchmark_with_servers_is_killed_and_goes_on_and_pays_for_nothing_twice(tmp_path: Path):
    held, lock, judged = threading.Event(), threading.Lock(), [0]

    def slow(body: dict[str, Any], number: int) -> Answer:
        with lock:
            judged[0] += 1
            wait = judged[0] > 5 and not held.is_set()
        if wait:
            held.wait(60)
        return official(body, number)

    with answering(drawn) as painter, serving(slow) as judge:
        given = options(tmp_path, painter.url, judge.url)
        process = start(SCRIPT, tmp_path, *given)
        while judged[0] < 6 and process.poll() is None:
            held.wait(0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        pictures = len(painter.requests)
        held.set()
        after = run(SCRIPT, tmp_path, *given)
        assert after.returncode == 0, after.stderr
        # A probe of each service at each start; of the judge's words five had been kept.
        assert len(painter.requests) - 2 <= 3 * ROWS + 1
        assert pictures > ROWS
        again = run(SCRIPT, tmp_path, *given)
        asked = len(judge.requests)
        _, logged = only_run(tmp_path, "evaluate")
        # Another way of asking and counting, and less of it, draws nothing: there is the probe.
        drawn_by_now = len(painter.requests)
        ours = run(SCRIPT, tmp_path, *given, "--protocol", "ours", "--held-out", "5")
        assert len(painter.requests) == drawn_by_now + 1, ours.stdout
        assert len(judge.requests) > asked
    assert ours.returncode == 0, ours.stderr
    assert again.returncode == 0, again.stderr
    assert "going on with" in after.stdout and "going on with" in again.stdout
    summary, _ = summary_of(again.stdout, tmp_path)
    plain, best = summary["cells"]
    assert best["select"] == "best, upper bound"
    overall = [one["table"]["categories"]["overall"] for one in (plain, best)]
    assert overall[1]["value"] >= overall[0]["value"]
    assert [one["missing"] + one["unparsed"] + one["failed"] for one in overall] == [0, 0]
    # Plain and best of two share their first pictures.
    assert asked <= 2 * ROWS + 3 + 8
    assert logged.info.status == "FINISHED"


def test_pictures_made_elsewhere_are_scored(tmp_path: Path):
    folder = tmp_path / "made"
    folder.mkdir()
    for number in range(1, ROWS):
        Image.new("RGB", (32, 32), (number, 0, 0)).save(folder / f"{number}.jpg")
    with serving(official) as judge:
        given = options(tmp_path, "", judge.url, "--pictures", str(folder))
        done = run(SCRIPT, tmp_path, *given)
    assert done.returncode == 0, done.stderr
    summary, _ = summary_of(done.stdout, tmp_path)
    [cell] = summary["cells"]
    overall = cell["table"]["categories"]["overall"]
    assert (overall["n"], overall["missing"]) == (ROWS, 1)
    assert f"1 of {ROWS} pictures are missing" in done.stdout


def test_a_benchmark_without_an_overall_figure_ends_as_others_do(tmp_path: Path):
    """One file of WISE's three: scores by category, and none over all."""
    write_wise(tmp_path)
    [file] = tmp_path.glob("natural*.json")
    chart = tmp_path / "evaluated" / "comparison.png"
    chart.parent.mkdir()
    chart.write_bytes(b"of an earlier command's cells")
    with answering(drawn) as painter, serving(Answer(words=GRADES)) as judge:
        asked = ("--bench", "wise", "--file", file.name, "--strategy", "plain", "--held-out", "4")
        served = ("--world.tool", painter.url, "--world.judge", judge.url)
        done = run(SCRIPT, tmp_path, "flux-7b", *asked, *served, "--world.judge-model", "eyes")
    assert done.returncode == 0, done.stderr
    summary, _ = summary_of(done.stdout, tmp_path)
    assert summary["cells"][0]["table"]["categories"]["Biology"]["value"] == pytest.approx(1)
    assert "overall" not in summary["cells"][0]["table"]["categories"]
    assert not chart.exists()


def test_bad_input_is_a_line_each_before_anything_loads(tmp_path: Path):
    done = run(SCRIPT, tmp_path, "flux-7b", "--world.tool", "nothing", "--device", "cpu")
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert [line.split(":")[1].strip().split(";")[0][:40] for line in lines] == [
        "--file is missing",
        "--world.judge is missing",
        "no tool 'nothing'",
        "--policy is missing",
    ]
    assert not (tmp_path / "evaluated").exists()


def test_servers_that_keep_their_weights_answer_for_one_policy(tmp_path: Path):
    kept = ("--engine.urls", "http://127.0.0.1:9", "--engine.publish", "None")
    done = run(SCRIPT, tmp_path, "smoke", "--policies", "sft", "base", *kept)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines() == [
        "error: publish is None, and 2 policies take turns; wants folder, lora or broadcast"
    ]
    one = run(SCRIPT, tmp_path, "smoke", "--strategy", "agent", *kept)
    assert one.stderr.startswith("error: http://127.0.0.1:9: ClientConnectorError"), one.stderr
