"""``genagent-tools`` as people run it: a process of its own, stopped by signals."""

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
import torch
from diffusers import FluxPipeline
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from tests.tools.painting import GENERATIONS, metric, pixels_of
from tests.tools.tiny_pipelines import flux

SIZE = ("--width", "32", "--height", "32", "--steps", "2", "--guidance", "1")
TINY = (*SIZE, "--text-tokens", "8", "--dtype", "float32", "--port", "0", "--devices", "cpu")
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def command(*words):
    return [sys.executable, "-c", "from genagent_tools.cli import main; main()", *map(str, words)]


def run(*words, **environment):
    return subprocess.run(
        command(*words),
        capture_output=True,
        text=True,
        timeout=120,
        env=ENVIRONMENT | environment,
    )


@pytest.fixture(scope="module")
def pipeline_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    flux().save_pretrained(folder)
    return folder


@contextmanager
def served(*words, **environment):
    """The process and its URL, once it says that it listens."""
    process = subprocess.Popen(
        command("serve", *words),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=ENVIRONMENT | environment,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "http://" in line, line
        yield process, line.split()[-1].removesuffix("/v1"), line
    finally:
        process.kill()
        process.wait()


def other_package(folder, load):
    """The environment of a package that brings the profile other-mini, loaded by these lines."""
    (folder / "other_tools.py").write_text(f"def load(name):{load}")
    info = folder / "other_tools-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-tools\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[genagent_tools.profiles]\nother-mini = other_tools:load\n"
    )
    return {"PYTHONPATH": str(folder)}


def ask(url, seed, **body):
    body = {"prompt": "red circle", "seed": seed, **body}
    return httpx.post(url + GENERATIONS, json=body, timeout=120)


@pytest.mark.slow
def test_a_folder_is_served_and_a_signal_finishes_what_is_queued(pipeline_folder):
    slow = {"num_inference_steps": 100}
    with (
        served("--model", pipeline_folder, "--name", "tiny", "--max-batch", "2", *TINY) as (
            process,
            url,
            line,
        ),
        ThreadPoolExecutor(6) as pool,
    ):
        assert line.startswith("tiny on cpu, 32x32, batches of up to 2: http://127.0.0.1:")
        reference = ask(url, 1, **slow)
        waiting = [pool.submit(ask, url, seed, **slow) for seed in range(1, 7)]
        # All have arrived: taken from the queue, the reference too, or still in it.
        while metric(url, "queue_seconds_count") + metric(url, "queue_depth") < 7:
            time.sleep(0.02)
        assert not any(answer.done() for answer in waiting[4:])
        process.send_signal(signal.SIGTERM)
        refused = ask(url, 9)
        health = httpx.get(url + "/healthz")
        answers = [answer.result(120) for answer in waiting]
        assert process.wait(60) == 0
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["error"]["code"] == "draining"
    assert (health.status_code, health.json()["status"]) == (503, "draining")
    assert [answer.status_code for answer in answers] == [200] * 6
    drawn = [pixels_of(answer.json()["data"][0]["b64_json"]) for answer in answers]
    [first] = reference.json()["data"]
    distance = max(abs(a - b) for a, b in zip(drawn[0], pixels_of(first["b64_json"]), strict=True))
    assert distance <= 1
    assert len(set(drawn)) == 6


@pytest.mark.slow
def test_what_cannot_be_finished_in_time_is_turned_away(pipeline_folder):
    options = ("--max-steps", "100000", "--drain-seconds", "0.3")
    with (
        served("--model", pipeline_folder, *options, *TINY) as (process, url, _),
        ThreadPoolExecutor(1) as pool,
    ):
        endless = pool.submit(ask, url, 1, num_inference_steps=100_000)
        while metric(url, "queue_seconds_count") < 1:
            time.sleep(0.05)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        answer = endless.result(60)
        assert process.wait(30) == 0
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "draining"
    assert time.monotonic() - started < 20


@pytest.mark.slow
def test_a_second_signal_stops_at_once_and_limits_are_those_of_the_command_line(pipeline_folder):
    limits = ("--max-steps", "100000", "--max-prompt", "50", "--max-pixels", "20000")
    options = (*limits, "--max-body", "300", "--max-queue", "2", "--drain-seconds", "1000")
    with (
        served("--model", pipeline_folder, *options, *TINY) as (process, url, _),
        ThreadPoolExecutor(1) as pool,
    ):
        [model] = httpx.get(url + "/v1/models").json()["data"]
        assert model["limits"] == {
            "prompt_characters": 50,
            "pixels": 20_000,
            "num_inference_steps": 100_000,
            "size_multiple": 16,
        }
        assert ask(url, 1, user="x" * 300).status_code == 413
        assert ask(url, 1, n=3).status_code == 429
        pool.submit(ask, url, 1, num_inference_steps=100_000)
        while metric(url, "queue_seconds_count") < 1:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        while httpx.get(url + "/healthz").json()["status"] != "draining":
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


@pytest.mark.slow
def test_a_profile_of_another_package_is_found_and_served_to_others_with_a_token(
    pipeline_folder, tmp_path
):
    load = f"""
    from genagent_tools import DiffusersTool, ToolProfile
    profile = ToolProfile(
        name=name, pipeline="FluxPipeline", repository="", steps=2, guidance_scale=1.0,
        width=32, height=32, text_tokens=8, words=6, dtype="float32", max_batch=8,
    )
    return DiffusersTool.from_profile(profile, path={str(pipeline_folder)!r}, device="cpu")
"""
    token = "only-in-the-environment"
    environment = other_package(tmp_path, load) | {"TOOL_TOKEN": token}
    assert "other-mini" in run("profiles", **environment).stdout
    options = ("--profile", "other-mini", "--max-batch", "3", "--port", "0", "--devices", "cpu")
    with served(*options, "--host", "0.0.0.0", "--token-env", "TOOL_TOKEN", **environment) as (
        _,
        url,
        line,
    ):
        local = url.replace("0.0.0.0", "127.0.0.1")
        headers = {"authorization": f"Bearer {token}"}
        body = {"prompt": "red circle", "n": 2, "size": "48x32"}
        refused = httpx.post(local + GENERATIONS, json=body)
        answer = httpx.post(local + GENERATIONS, json=body, headers=headers, timeout=120)
    assert "other-mini on cpu, 32x32, batches of up to 3" in line
    assert refused.status_code == 401
    sizes = [len(pixels_of(entry["b64_json"])) for entry in answer.json()["data"]]
    assert sizes == [48 * 32 * 3] * 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--host", "0.0.0.0"), "host 0.0.0.0 can be reached from other machines; give a token"),
        (("--host", "203.0.113.1", "--token-env", "PATH"), "cannot listen on 203.0.113.1:8000"),
        (("--token-env", "NOT_SET_ANYWHERE"), "the environment variable NOT_SET_ANYWHERE is not"),
        (("--port", "70000"), "port is 70000; wants 0 to 65535"),
        (("--port", "0"), "give a --profile, one of flux-8step"),
        (("--port", "0", "--profile", "flux-9step"), "no profile 'flux-9step'; known: flux-8step"),
        (("--port", "0", "--model", "nowhere", *SIZE), "does not say which pipeline it is"),
        (("--port", "0", "--profile", "flux-8step", "--steps", "0"), "steps is 0"),
        (
            ("--port", "0", "--profile", "flux-8step", "--devices", "cuda:99"),
            "no device 'cuda:99'; this machine has",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(words, says):
    done = run("serve", *words)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


@pytest.mark.slow
def test_flux_8step_is_served_offline_with_a_local_lora_and_without_one_asks_for_it(
    pipeline_folder, tmp_path
):
    torch.manual_seed(1)
    transformer = flux().transformer
    transformer.add_adapter(LoraConfig(r=2, target_modules=["to_q"], init_lora_weights=False))
    FluxPipeline.save_lora_weights(tmp_path, {**get_peft_model_state_dict(transformer)})
    options = ("--profile", "flux-8step", "--model", pipeline_folder, *TINY)
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "nothing")}
    done = run("serve", *options, **offline)
    assert done.returncode == 2
    *_, line = done.stderr.strip().splitlines()
    assert line.startswith("alimama-creative/FLUX.1-Turbo-Alpha/diffusion_pytorch_model.safetensor")
    assert line.endswith("or give a local file or folder (genagent-tools serve --lora)")
    assert "Traceback" not in done.stderr
    with served(*options, "--lora", tmp_path, **offline) as (_, url, line):
        assert ask(url, 1).status_code == 200
    assert line.startswith("flux-8step on cpu, 32x32")


def test_a_failure_is_one_line_and_exit_code_1(tmp_path):
    load = ' raise RuntimeError("the weights\\nare gone")'
    options = ("--profile", "other-mini", "--port", "0", "--devices", "cpu")
    done = run("serve", *options, **other_package(tmp_path, load))
    assert done.returncode == 1
    assert done.stderr.strip() == "RuntimeError: the weights are gone"


def test_a_folder_without_a_profile_asks_for_what_it_does_not_say(pipeline_folder):
    done = run("serve", "--model", pipeline_folder, "--port", "0", "--steps", "2")
    assert done.returncode == 2
    assert "give --width --height --guidance, or a --profile" in done.stderr


def test_a_port_in_use_is_known_before_a_model_is_loaded():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", "--profile", "flux-8step", "--port", port)
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "choose another --host or --port" in done.stderr


def test_help_needs_no_torch():
    script = (
        "import sys\nfrom genagent_tools.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "--help"], capture_output=True, text=True, timeout=60
    )
    assert "serve" in done.stdout
    assert done.stdout.strip().endswith("False")
