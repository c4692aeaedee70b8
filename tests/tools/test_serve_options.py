"""That every option of ``genagent-tools serve`` reaches what it is an option of."""

from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import genagent_tools.loading
import genagent_tools.server
from genagent_tools import PROFILES, cli
from genagent_tools.loading import Overrides
from genagent_tools.server import BatchConfig, ServerConfig

TOKEN = "0123456789abcdef"


def told(monkeypatch: pytest.MonkeyPatch, *words: str) -> dict[str, Any]:
    """What is loaded, and what is served how, without doing either."""
    heard: dict[str, Any] = {}

    def load_tools(name, folder, overrides, devices):
        heard.update(profile=name, folder=folder, overrides=overrides, devices=devices)
        drawing = overrides.apply(PROFILES[name])
        pipeline = SimpleNamespace(device="cpu")
        return [SimpleNamespace(profile=drawing, pipeline=pipeline)]

    def serve(tools, served, config, *, listener, on_ready):
        heard.update(served=served, config=config, bound=listener)
        return True

    monkeypatch.setattr(genagent_tools.loading, "load_tools", load_tools)
    monkeypatch.setattr(genagent_tools.server, "bind", lambda config: config)
    monkeypatch.setattr(genagent_tools.server, "serve", serve)
    monkeypatch.setattr("sys.argv", ["genagent-tools", "serve", *words])
    cli.main()
    return heard


def test_every_option_arrives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("THE_TOKEN", TOKEN)
    lora = tmp_path / "mine.safetensors"
    lora.touch()
    words = (
        *("--profile", "flux-8step", "--model", "/models/flux", "--name", "mine"),
        *("--lora", str(lora), "--devices", "cuda:0", "cuda:1"),
        *("--host", "0.0.0.0", "--port", "8123"),
        *("--token-env", "THE_TOKEN", "--allowed-hosts", "a.example", "--max-connections", "7"),
        *("--width", "512", "--height", "768", "--steps", "4", "--guidance", "2.5"),
        *("--text-tokens", "256", "--dtype", "float32", "--max-batch", "3"),
        *("--max-wait-ms", "5", "--max-queue", "9", "--fixed-batch"),
        *("--max-pixels", "9000000", "--max-steps", "30", "--max-prompt", "700"),
        *("--max-body", "5000", "--drain-seconds", "8"),
    )
    given = {word[2:].replace("-", "_") for word in words if word.startswith("--")}
    assert given == {field.name for field in fields(cli.Serve)}
    heard = told(monkeypatch, *words)
    changed = Overrides(
        width=512,
        height=768,
        steps=4,
        guidance=2.5,
        text_tokens=256,
        dtype="float32",
        max_batch=3,
        lora=lora,
    )
    assert heard["overrides"] == changed
    assert heard["folder"] == Path("/models/flux")
    assert heard["devices"] == ("cuda:0", "cuda:1")
    assert heard["config"] == ServerConfig(
        host="0.0.0.0",
        port=8123,
        token=TOKEN,
        batching=BatchConfig(max_batch=3, max_wait_ms=5.0, max_queue=9, fixed_batch=True),
        drain_seconds=8.0,
        max_body=5000,
        max_connections=7,
        allowed_hosts=("a.example",),
    )
    # Listening begins before anything loads, when no profile has said how many it draws at once.
    assert replace(heard["bound"], batching=heard["config"].batching) == heard["config"]
    served = heard["served"]
    assert (served.name, served.size, served.steps, served.guidance) == ("mine", "512x768", 4, 2.5)
    assert (served.max_pixels, served.max_steps, served.max_prompt) == (9_000_000, 30, 700)
    drawing = replace(changed.apply(PROFILES["flux-8step"]), repository="/models/flux")
    assert served.drawn_with == drawing.digest()


def test_the_profile_says_what_no_option_does(monkeypatch: pytest.MonkeyPatch):
    heard = told(monkeypatch, "--profile", "flux-8step", "--max-steps", "4")
    profile = PROFILES["flux-8step"]
    assert heard["overrides"] == Overrides()
    assert heard["config"] == ServerConfig(batching=BatchConfig(max_batch=profile.max_batch))
    assert heard["served"].name == "flux-8step"
    assert heard["served"].drawn_with == profile.digest()
    # Its own number of steps may always be asked for.
    assert heard["served"].max_steps == profile.steps
