"""``vllm serve`` for the scripts in experiments/launch, without vLLM.

It takes their options, says at /health that it is there, and answers as a judge; or, where new
weights are taken, with turns of a formula. What an option would open stays closed without it.
"""

import argparse
import hashlib
import os
import signal
import sys
from typing import Any

from tests.http_server import Answer as Reply
from tests.http_server import running
from tests.judge_server import Answer, JudgeServer, pictures_in


def verdict(body: dict[str, Any], number: int) -> Answer:
    """By the pixels alone."""
    assert body["model"] == OPTIONS.model
    pictures = pictures_in(body)
    digest = hashlib.sha256(b"".join(picture.tobytes() for picture in pictures)).digest()
    choices = ("yes", "no") if len(pictures) == 1 else ("first", "second")
    return Answer(words=f"looked closely. <verdict>{choices[digest[0] % 2]}</verdict>")


class Judge(JudgeServer):
    def get(self, path: str) -> Reply:
        return Reply(status=200 if path == "/health" else 404)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("model")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tensor-parallel-size", type=int, default=1)
    parser.add_argument("--max-model-len", type=int)
    parser.add_argument("--limit-mm-per-prompt")
    parser.add_argument("--enable-scale-out", action="store_true")
    parser.add_argument("--logprobs-mode", default="raw_logprobs")
    parser.add_argument("--generation-config", default="auto")
    return parser.parse_args()


def serve() -> None:
    """Until SIGTERM."""
    gpus = os.environ["CUDA_VISIBLE_DEVICES"].split(",")
    assert len(gpus) == OPTIONS.tensor_parallel_size, gpus
    print(f"serving {OPTIONS.model} on GPUs {gpus}", flush=True)
    if not OPTIONS.enable_scale_out:
        with running(Judge(verdict, OPTIONS.port)):
            signal.pause()
        return
    from tests.rollout.fake_vllm import FakeVllm

    from genagent_miniworld import weights
    from genagent_policy import Policy

    assert OPTIONS.generation_config == "vllm"
    with FakeVllm(
        Policy.load(weights(OPTIONS.model)).chat,
        dev_mode=os.environ.get("VLLM_SERVER_DEV_MODE") == "1",
        processed=OPTIONS.logprobs_mode == "processed_logprobs",
        port=OPTIONS.port,
    ).running():
        signal.pause()


if __name__ == "__main__":
    OPTIONS = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    serve()
