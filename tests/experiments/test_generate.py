"""The agent at work as people call it: processes of their own, in the miniature."""

import json
import shutil
import signal
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image
from tests.experiments.running import EXPERIMENTS, only_run, run, start, summary_of, wait_for
from tests.http_server import Answer
from tests.names import legible
from tests.picture_server import answering, right
from tests.rollout.fake_vllm import FakeVllm
from tests.serving.test_page import Parsed

from genagent_miniworld import weights
from genagent_policy import PolicyConfig

SCRIPT = "generate.py"
PROBE = "a red circle on a white background"
ONE_BY_ONE = ("--sampling.max-batch", "1")


def rows_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def file_of(folder: Path, count: int) -> tuple[str, str]:
    colours = ("red", "blue", "green", "yellow")
    rows = [
        {"id": f"r/{n}", "prompt": f"{n % 3 + 2} {colours[n % 4]} circles"} for n in range(count)
    ]
    (folder / "asked.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return "--file", "asked.jsonl"


@pytest.mark.slow
def test_a_prompt_is_shown_round_by_round_and_kept(tmp_path: Path):
    done = run(SCRIPT, tmp_path, "three red circles\x1b[31m", "--out", "here")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    labels = [line[:10].strip() for line in done.stdout.splitlines() if line[:1] != " "]
    labels = labels[labels.index("request") :]  # before it, what a slow machine waits for
    assert labels[:5] == ["request", "think", "prompt", "picture 1", "assess"]
    assert labels[-4] == "end"
    page = tmp_path / done.stdout.splitlines()[-2].removeprefix("page: ")
    [row] = rows_of((tmp_path / "here" / "results.jsonl").read_text())
    assert row["prompt"] == "three red circles\x1b[31m"
    parsed = Parsed(page.read_text())
    assert len(parsed.all("img")) == len(row["rounds"])
    for number, round in enumerate(row["rounds"], 1):
        with Image.open(tmp_path / "here" / round["picture"]) as image:
            assert image.size == (48, 48)
        assert f"picture-{number}.png" in done.stdout
        assert round["prompt"] in parsed.text
    assert (page.parent / "sheet.png").is_file()
    summary, folder = summary_of(done.stdout, tmp_path)
    assert (folder, summary["requests"]) == (tmp_path / "here", 1)
    assert (summary["with_picture"], summary["mean_rounds"]) == (1, len(row["rounds"]))
    client, logged = only_run(tmp_path, "generate")
    assert logged.info.run_id == summary["mlflow_run"]
    [trace] = client.search_traces(locations=[logged.info.experiment_id])
    assert trace.info.tags["ending"] == row["ending"]

    again = run(
        SCRIPT, tmp_path, "three red circles\x1b[31m", "--out", "here", "--json", "--resume"
    )
    assert (again.returncode, again.stderr) == (0, "")
    [told] = rows_of(again.stdout)
    assert told["rounds"][-1]["judgement"] == row["rounds"][-1]["judgement"]
    assert (tmp_path / told["picture"]).is_file() and told["seconds"] == row["seconds"]
    # Nothing was answered, so there is nothing to record.
    assert only_run(tmp_path, "generate")[1].info.end_time == logged.info.end_time


@pytest.mark.slow
def test_killed_it_goes_on_and_repeats_nothing(tmp_path: Path):
    asked = file_of(tmp_path, 12)
    results = tmp_path / "out" / "results.jsonl"
    process = start(SCRIPT, tmp_path, *asked, "--out", "out", "--json", *ONE_BY_ONE)
    wait_for("out/*/page.html", tmp_path, process)
    while not results.read_bytes() and process.poll() is None:
        pass
    process.kill()
    output, errors = process.communicate()
    assert (process.returncode, errors) == (-signal.SIGKILL, "")
    kept = results.read_text()
    drawn = (tmp_path / "out" / "drawn.jsonl").read_text()
    assert 1 <= len(rows_of(kept)) < 12
    assert len(rows_of(output)) <= len(rows_of(kept))
    with results.open("a") as file:
        file.write('{"id": "r/11", "prom')

    # A larger batch changes no picture; another seed would.
    refused = run(SCRIPT, tmp_path, *asked, "--out", "out", "--json", "--seed", "1")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        "error: out was made with another seed (0, now 1); give it the options that it had, or "
        "another --out\n"
    )
    done = run(SCRIPT, tmp_path, *asked, "--out", "out", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert results.read_text().startswith(kept)
    assert (tmp_path / "out" / "drawn.jsonl").read_text().startswith(drawn)
    rows, told = rows_of(results.read_text()), rows_of(done.stdout)
    wanted = sorted(f"r/{n}" for n in range(12))
    assert sorted(row["id"] for row in rows) == sorted(row["id"] for row in told) == wanted
    paid = [
        (line["prompt"], line["seed"])
        for line in rows_of((tmp_path / "out" / "drawn.jsonl").read_text())
    ]
    assert len(paid) == len(set(paid)) == sum(len(row["rounds"]) for row in rows)
    index = Parsed((tmp_path / "out" / "index.html").read_text())
    links = [str(link["href"]) for link in index.all("a")]
    assert links == [f"r-{n}/page.html" for n in range(12)]
    assert all((tmp_path / "out" / link).is_file() for link in links)

    # In one go the same is drawn.
    whole = run(SCRIPT, tmp_path, *asked, "--out", "whole", "--json")
    prompts = {row["id"]: [r["prompt"] for r in row["rounds"]] for row in told}
    assert {r["id"]: [r["prompt"] for r in r["rounds"]] for r in rows_of(whole.stdout)} == prompts


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done(tmp_path: Path):
    asked = file_of(tmp_path, 12)
    process = start(SCRIPT, tmp_path, *asked, "--out", "out", *ONE_BY_ONE)
    wait_for("out/*/page.html", tmp_path, process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert errors == "error: stopped; the same command with --out out goes on\n"
    rows = rows_of((tmp_path / "out" / "results.jsonl").read_text())
    assert 1 <= len(rows) < 12
    links = Parsed((tmp_path / "out" / "index.html").read_text()).all("a")
    assert len(links) == len(rows)


@pytest.mark.slow
def test_a_request_that_the_tool_refuses_says_why_and_is_tried_again_elsewhere(tmp_path: Path):
    def refusing(body: dict[str, Any], number: int) -> Answer:
        if body["prompt"] == PROBE:
            return right(body, number)
        return Answer(status=400, body=b'{"error": {"message": "\x1b[31mno <b>paint</b>"}}')

    how = ("three red circles", "--out", "out", "--world.tool")
    with answering(refusing) as server:
        done = run(SCRIPT, tmp_path, *how, server.url)
    assert done.returncode == 1
    assert "there is no picture" in " ".join(done.stdout.split()) and "\x1b" not in done.stdout
    page = (tmp_path / "out" / "three-red-circles" / "page.html").read_text()
    assert "no <b>paint</b>" in Parsed(page).text
    with answering(right) as server:
        done = run(SCRIPT, tmp_path, *how, server.url, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    [row] = rows_of(done.stdout)
    assert (tmp_path / row["picture"]).is_file()


@pytest.mark.slow
def test_servers_that_have_the_policy_spare_this_process_its_weights(tmp_path: Path):
    bare = tmp_path / "bare"
    shutil.copytree(weights("sft"), bare, ignore=shutil.ignore_patterns("*.safetensors"))
    chat = PolicyConfig(policy=str(bare)).load_chat({})
    with FakeVllm(chat, dev_mode=False).running() as server:
        served = ("--policy", "bare", "--engine.urls", server.url, "--engine.publish", "None")
        done = run(SCRIPT, tmp_path, "three red circles", *served, "--out", "out", "--json")
    assert (done.returncode, done.stderr) == (1, "")
    # What the server says follows a formula, and breaks the protocol.
    [row] = rows_of(done.stdout)
    assert (row["ending"], row["picture"], len(server.bodies)) == ("format_error", None, 1)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary[f"without_picture/{row['error']}"] == 1


BAD = {
    (): "no prompt; give one,",
    (" ",): "the prompt is empty; say what to draw",
    ("a\0b",): "the prompt holds a NUL character at 1; take it out",
    ("caf\udce9",): "the prompt holds '\\udce9' at 3, which is no character; write it in UTF-8",
    ("a", "--file", "broken.jsonl"): "both a prompt and --file broken.jsonl; give one of them",
    ("--file", "broken.jsonl"): "broken.jsonl:2: ",
    ("--file", "nul.jsonl"): "nul-1: the prompt holds a NUL character at 1; take it out",
    ("--file", "none.jsonl"): "none.jsonl: No such file or directory",
    ("a", "--resume"): "--resume goes on in a folder; give it as --out",
    ("a", "--policy", "other"): "other: architecture 'llama'; the policy wants",
    ("a", "--out", "broken.jsonl"): "broken.jsonl: File exists",
    ("a", "--out", "broken.jsonl/out"): "broken.jsonl/out: Not a directory",
    ("a", "--world.tool", "none"): "no tool 'none'; give a URL, module:callable or one of",
    ("cat " * 25_000,): "the prompt has 75001 tokens, and the policy has room for 911 (its context",
    ("flux-7b", "a", "--device", "cpu", "--world.tool-device", "cpu"): "--policy is missing",
}


@pytest.mark.parametrize(
    "options", BAD, ids=lambda options: legible(" ".join(options)) or "nothing"
)
def test_bad_input_is_one_line_and_leaves_nothing_behind(
    options: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    (tmp_path / "broken.jsonl").write_text('{"prompt": "fine"}\n{"prompt": 5}\n')
    (tmp_path / "nul.jsonl").write_text('{"prompt": "a\\u0000b"}\n')
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"model_type": "llama"}')
    before = sorted(tmp_path.iterdir())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        script().run(options)
    said = capsys.readouterr()
    assert (end.value.code, said.out) == (2, "")
    assert BAD[options] in said.err and len(said.err.splitlines()) == 1, said.err
    assert sorted(tmp_path.iterdir()) == before


def test_a_store_that_does_not_answer_is_a_line_before_anything_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        script().run(["a red circle", "--out", "out", "--tracker.uri", "http://127.0.0.1:9"])
    assert end.value.code == 1
    assert capsys.readouterr().err.startswith(
        "error: cannot use the MLflow store http://127.0.0.1:9: "
    )
    assert not (tmp_path / "out" / "drawn.jsonl").exists()


def test_nothing_is_watched_before_mlflow_is_there():
    module = script()
    with pytest.raises(ValueError, match="system_seconds is 1; wants 0, nothing is watched"):
        module.GenerateConfig(tracker=module.TrackerConfig(system_seconds=1.0))


def test_no_judge_and_no_file_of_requests_are_asked_for():
    module = script()
    config = module.read_config(
        module.GenerateConfig,
        module.PRESETS,
        ["flux-7b", "a cat", "--device", "cpu", "--world.tool-device", "cpu", "--policy", "none"],
        prog="generate.py",
    )
    [line] = module.problems(config)
    assert line.startswith("no policy 'none'")
    assert not config.world.judge and config.world.train is None
    assert config.world.tool_problems() == []


def script() -> ModuleType:
    """The script as a module; nothing of it has run."""
    spec = spec_from_file_location("generate", EXPERIMENTS / SCRIPT)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["generate"] = module
    spec.loader.exec_module(module)
    return module
