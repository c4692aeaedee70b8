"""Trajectories are made as people make them: in the miniature, and with servers that are killed
under."""

import hashlib
import json
import signal
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.data.synthesis_cast import files
from tests.experiments.running import only_run, run, start, summary_of
from tests.http_server import LoopbackServer
from tests.judge_server import Answer, pictures_in, serving, words_in
from tests.picture_server import answering, right
from tests.small_disk import small_disk
from tests.tracking.metrics_page import undocumented

from genagent_data import RecordFolder, read_requests

SCRIPT = "synthesize.py"


def passes(picture: Image.Image) -> bool:
    return picture.convert("RGB").tobytes()[0] % 4 == 0


def taught(body: dict[str, Any], number: int) -> Answer:
    """Teacher and judge in one: both see the same in a picture, and later ones win."""
    words, pictures = words_in(body), pictures_in(body)
    if "<thought>" in words:
        digest = hashlib.sha256(words.encode()).hexdigest()[:8]
        return Answer(words=f"<thought>{digest}</thought><prompt>prompt {digest}</prompt>")
    if "<judgement>" in words:
        verdict = "right" if passes(pictures[0]) else "wrong"
        return Answer(words=f"<judgement>so so</judgement><verdict>{verdict}</verdict>")
    if len(pictures) == 2:
        first, second = (picture.convert("RGB").tobytes()[0] for picture in pictures)
        return Answer(words=f"<verdict>{'first' if first < second else 'second'}</verdict>")
    return Answer(words=f"<verdict>{'yes' if passes(pictures[0]) else 'no'}</verdict>")


class Gate:
    """Lets so many calls be answered and holds all others until it is opened."""

    def __init__(self, answered: int) -> None:
        self.left = answered
        self.lock = threading.Lock()
        self.open = threading.Event()

    def __call__(self) -> None:
        with self.lock:
            self.left -= 1
            held = self.left < 0
        if held:
            self.open.wait(60)


def options(folder: Path, painter: str, mind: str) -> list[str]:
    folder.mkdir(exist_ok=True)
    rows = [{"id": f"r{n}", "prompt": f"thing number {n}", "task": "ab"[n % 2]} for n in range(24)]
    (folder / "asked.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return [
        "qwen-teachers",
        *("--requests", "asked.jsonl", "--chunk", "6", "--licence", "cc-by-4.0"),
        *("--world.tool", painter, "--world.judge", mind, "--world.judge-model", "judge"),
        *("--teacher.open.urls", mind, "--teacher.open.model", "teacher"),
        *("--teacher.judge.model", "other"),
    ]


def questions(server: LoopbackServer) -> list[str]:
    """What was asked, to the letter; the probes before the start, shown a red square, left out."""
    bodies = [body for body in server.requests if body.get("prompt") != PROBE]
    texts = [json.dumps(body, sort_keys=True) for body in bodies]
    return [text for text in texts if "Is this square red?" not in text]


PROBE = "a red circle on a white background"


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_and_asks_nothing_twice(tmp_path: Path):
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    for folder in (whole, torn):
        folder.mkdir()
    with answering(right) as painter, serving(taught) as mind:
        done = run(SCRIPT, whole, *options(whole, painter.url, mind.url))
        assert done.returncode == 0, done.stderr
        wanted = sorted(questions(painter) + questions(mind))
    assert len(wanted) == len(set(wanted))

    paid: list[str] = []
    for answered in (30, 90):
        gate = Gate(answered)

        def held(server_says, body, number, gate=gate):
            if body.get("prompt") != PROBE and "Is this square red?" not in json.dumps(body):
                gate()
                if not gate.open.is_set():
                    paid.append(json.dumps(body, sort_keys=True))
            return server_says(body, number)

        with (
            answering(lambda body, number, held=held: held(right, body, number)) as painter,
            serving(lambda body, number, held=held: held(taught, body, number)) as mind,
        ):
            process = start(SCRIPT, torn, *options(torn, painter.url, mind.url))
            while gate.left >= 0 and process.poll() is None:
                time.sleep(0.05)
            time.sleep(3)  # what was answered has arrived; all that is still asked is held
            process.kill()
            _, errors = process.communicate()
            assert process.returncode == -signal.SIGKILL, errors
            gate.open.set()
    assert len(paid) == 120
    with answering(right) as painter, serving(taught) as mind:
        done = run(SCRIPT, torn, *options(torn, painter.url, mind.url))
        assert done.returncode == 0, done.stderr
        paid += questions(painter) + questions(mind)

    assert sorted(paid) == wanted
    assert files(torn / "synthesized") == files(whole / "synthesized")
    summary, _ = summary_of(done.stdout, torn)
    assert summary["status"] == "finished" and 0 < summary["records"] < 24
    card = (torn / "synthesized" / "README.md").read_text()
    assert "license: cc-by-4.0" in card and "other#" in card and "asked.jsonl" in card


def kept(work: Path) -> int:
    """Answers, pictures and verdicts that are on disk."""
    count = 0
    for path in work.glob("*.sqlite"):
        table = "verdicts" if path.stem == "verdicts" else "answers"
        with closing(sqlite3.connect(path)) as database:
            count += database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return count


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_with_more_room_it_goes_on(tmp_path: Path):
    with answering(right) as painter, serving(taught) as mind:
        given = [*options(tmp_path, painter.url, mind.url), "--out", "disk/made"]
        with small_disk(tmp_path / "disk", 400) as enlarge:
            done = run(SCRIPT, tmp_path, *given)
            assert done.returncode == 1, done.stdout
            assert len(done.stderr.splitlines()) == 1, done.stderr
            assert "is full" in done.stderr or "No space left on device" in done.stderr
            enlarge(32768)
            before, stored = questions(painter) + questions(mind), kept(tmp_path / "disk/made/work")
            assert stored > 0
            done = run(SCRIPT, tmp_path, *given)
            assert done.returncode == 0, done.stderr
            asked = questions(painter) + questions(mind)
            # What came when there was no room for it could not be kept; nothing else is paid twice.
            assert len(asked) - len(set(asked)) <= len(before) - stored
            summary, folder = summary_of(done.stdout, tmp_path)
            assert len(RecordFolder(tmp_path / "disk" / "made")) == summary["records"] > 0
    assert [folder] == list((tmp_path / "runs").iterdir())
    _, logged = only_run(tmp_path, "synthesize")
    assert logged.info.status == "FINISHED"


@pytest.mark.slow
def test_written_requests_join_the_pool_and_a_benchmarks_own_do_not(tmp_path: Path):
    def writes(body: dict[str, Any], number: int) -> Answer:
        if "<requests>" not in words_in(body):
            return taught(body, number)
        rows = [{"prompt": f"{noun} in a jar", "hints": [noun]} for noun in ("an owl", "a comet")]
        return Answer(words=f"<requests>{json.dumps(rows)}</requests>")

    rows = [{"id": f"r{n}", "prompt": f"thing number {n}", "hints": ["a thing"]} for n in range(4)]
    (tmp_path / "asked.jsonl").write_text(
        "\n".join(map(json.dumps, [*rows, rows[1] | {"id": "x"}]))
    )
    (tmp_path / "official.txt").write_text("A comet in a jar!\nthing number 2\n")
    with answering(right) as painter, serving(writes) as mind:
        given = options(tmp_path / "other", painter.url, mind.url)
        done = run(
            SCRIPT,
            tmp_path,
            *given,
            *("--hard-each", "2", "--pool.benchmarks", "official.txt"),
        )
        assert done.returncode == 0, done.stderr
    _, logged = only_run(tmp_path, "synthesize")
    metrics = logged.data.metrics
    assert metrics["funnel/pool/kept"] == 4
    assert metrics["funnel/pool/dropped/contaminated"] == 2
    assert metrics["funnel/pool/dropped/duplicate"] == 1
    assert metrics["funnel/hard/kept"] + metrics["funnel/hard/dropped/solved_plainly"] == 4
    stages = tmp_path.joinpath("synthesized", "work", "stages")
    fates = (stages / "0-requests" / "000000.jsonl").read_text()
    assert "an owl in a jar" in fates and "a comet" not in fates
    pooled = read_requests(tmp_path / "synthesized" / "requests.jsonl")
    assert sorted(request.prompt for request in pooled) == [
        "an owl in a jar",
        *(f"thing number {number}" for number in (0, 1, 3)),
    ]


@pytest.mark.slow
def test_the_miniature_makes_records_and_shows_why_others_are_none(tmp_path: Path):
    done = run(SCRIPT, tmp_path, "smoke", "--no-trial", "--requests", "24", "--out", "made")
    assert done.returncode == 0, done.stderr
    summary, _ = summary_of(done.stdout, tmp_path)
    assert len(RecordFolder(tmp_path / "made")) == summary["records"] > 0
    assert "requests  24/24" in done.stdout and "solved_plainly" in done.stdout
    assert "time: hard" in done.stdout
    _, logged = only_run(tmp_path, "synthesize")
    assert logged.data.metrics["funnel/balance/kept"] == summary["records"]
    assert undocumented(logged.data.metrics) == set()
    planned = run(SCRIPT, tmp_path, "smoke", "--requests", "48", "--out", "made", "--plan")
    assert planned.returncode == 0, planned.stderr
    hard = logged.data.metrics["funnel/hard/kept"] / 24
    assert "counted in --out, of 24 requests:\n" in planned.stdout
    assert f"--plan.hard {round(hard, 4):g}\n" in planned.stdout
    other = run(SCRIPT, tmp_path, "smoke", "--requests", "24", "--out", "made", "--seed", "1")
    assert other.returncode != 0
    assert other.stderr.startswith("error: made was begun with seed '0', now it is '1'")
    assert len(other.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (("--requests", "nowhere.jsonl"), "No such file or directory: 'nowhere.jsonl'"),
        (("--requests", "0"), "requests is 0; wants 1 or more, or a file"),
        (("--hard-each", "-1"), "hard_each is -1; wants 0 or more"),
        (("--hard-each", "2"), "--hard-each wants a file of requests with hints, and teachers"),
        (("--unfinished", "1"), "unfinished is 1.0; wants 0 or more, below 1"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, given: tuple[str, ...], line: str):
    done = run(SCRIPT, tmp_path, *given)
    assert done.returncode == 2
    assert done.stderr.count(line) == 1
    assert not (tmp_path / "runs").exists()


def test_a_plan_counts_the_requests_and_asks_no_server(tmp_path: Path):
    rows = [{"prompt": f"thing number {n}", "task": "ab"[n % 2]} for n in range(40)]
    rows += rows[:8]
    rows += [{"prompt": f"a jar with owl {n}", "reference": "seen.png"} for n in range(10)]
    (tmp_path / "asked.jsonl").write_text("\n".join(map(json.dumps, rows)))
    Image.new("RGB", (8, 8)).save(tmp_path / "seen.png")
    real = [
        *("qwen-teachers", "--requests", "asked.jsonl", "--plan", "--plan.hard", "1"),
        *("--world.tool", "http://127.0.0.1:9,http://127.0.0.1:9/b"),
        *("--world.judge", "http://127.0.0.1:9/v1", "--world.judge-model", "judge"),
        *("--teacher.open.urls", "http://127.0.0.1:9/v1", "--teacher.open.model", "teacher"),
    ]
    done = run(SCRIPT, tmp_path, *real)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("50 requests come to 37 records\n")
    assert "--plan.references 0.2\n" in done.stdout and "--plan.image-gpus 2\n" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"asked.jsonl", "seen.png"}
    (tmp_path / "asked.jsonl").unlink()
    done = run(SCRIPT, tmp_path, *real)
    assert done.returncode == 2
    assert done.stderr == (
        "error: asked.jsonl is not there; give a file of requests or their number "
        "(--requests 10000), or the number of records that are wanted (--plan.records 3500)\n"
    )


def test_the_requests_that_are_read_are_not_written_over(tmp_path: Path):
    asked = '{"prompt": "a red circle", "hints": ["exactly 1 red circle"]}\n'
    (tmp_path / "requests.jsonl").write_text(asked)
    done = run(SCRIPT, tmp_path, "smoke", "--requests", "requests.jsonl", "--out", ".")
    assert done.returncode == 2
    assert done.stderr == (
        "error: --out is ., where requests.jsonl would be written over; give another\n"
    )
    assert (tmp_path / "requests.jsonl").read_text() == asked


def test_missing_services_are_a_line_each(tmp_path: Path):
    (tmp_path / "asked.txt").write_text("a red circle")
    done = run(SCRIPT, tmp_path, "qwen-teachers", "--requests", "asked.txt")
    assert done.returncode == 2
    for option in ("--world.tool", "--world.judge", "--teacher.open.urls", "--teacher.open.model"):
        assert f"error: {option} is missing" in done.stderr
