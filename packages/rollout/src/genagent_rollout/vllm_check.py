"""Whether vLLM servers can be sampled from, asked before anything loads."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from genagent_endpoints import Answer, EndpointError, Endpoints, Trouble, TurnedAway
from genagent_rollout.config import SamplingConfig
from genagent_rollout.vllm_config import VllmConfig

SECONDS = 60.0
"""That a server may take for one token."""


def vllm_problems(config: VllmConfig, sampling: SamplingConfig) -> list[str]:
    """What keeps turns from being sampled, a line for each server.

    Args:
        sampling: decides whether the servers' kind of log-probs matters.
    """
    try:
        endpoints = Endpoints(config.endpoints(config.urls))
    except ValueError as error:
        return [str(error)]
    with endpoints:
        return endpoints.run(_problems(endpoints, config, sampling))


async def _problems(
    endpoints: Endpoints, config: VllmConfig, sampling: SamplingConfig
) -> list[str]:
    checks = (_problem(endpoints, url.rstrip("/"), config, sampling) for url in config.urls)
    return [line for line in await asyncio.gather(*checks) if line is not None]


async def _problem(
    endpoints: Endpoints, url: str, config: VllmConfig, sampling: SamplingConfig
) -> str | None:
    if config.publish in ("folder", "broadcast"):
        # One that a publication has paused and never let go would answer nothing. What is wrong
        # with a server that cannot be told so, the next questions say.
        with suppress(Trouble, EndpointError):
            await endpoints.send("POST", f"{url}/resume", seconds=SECONDS)
    try:
        first = await _one_token(endpoints, url, temperature=1.0)
        if not _is_plain(sampling):
            second = await _one_token(endpoints, url, temperature=2.0)
            if not _halved(first, second):
                return (
                    f"{url}: its log-probs know nothing of the temperature, which is "
                    f"{sampling.temperature} (top_p {sampling.top_p}, top_k {sampling.top_k}); "
                    "start vLLM with --logprobs-mode processed_logprobs"
                )
    except TurnedAway as error:
        return f"{error}; start vLLM with --enable-scale-out, 0.32 or newer"
    except (Trouble, EndpointError) as error:
        return _named(url, error)
    try:
        if config.publish == "lora":
            return await _adapter_problem(endpoints, url)
        if config.publish is not None and (problem := await _control_problem(endpoints, url)):
            return problem
        if config.publish == "broadcast":
            return await _transfer_problem(endpoints, url)
    except (Trouble, EndpointError) as error:
        return _named(url, error)
    return None


async def _control_problem(endpoints: Endpoints, url: str) -> str | None:
    try:
        await endpoints.send("GET", f"{url}/weight_info", seconds=SECONDS)
    except TurnedAway as error:
        return (
            f"{error}; new weights need vLLM 0.32 or newer, started with VLLM_SERVER_DEV_MODE=1 in "
            "its environment"
        )
    return None


async def _transfer_problem(endpoints: Endpoints, url: str) -> str | None:
    # Only a server that could join a group says what it must be told.
    path = f"{url}/init_weight_transfer_engine"
    answer = await endpoints.send(
        "POST", path, {"init_info": {}}, seconds=SECONDS, taken=(400, 500)
    )
    if "Invalid init_info" in answer.words():
        return None
    return (
        f"{path}: {answer.status} {answer.words()}; a broadcast needs vLLM started with "
        """--weight-transfer-config '{"backend": "nccl"}'"""
    )


async def _adapter_problem(endpoints: Endpoints, url: str) -> str | None:
    # Only a server that would load an adapter says that there is none.
    nothing = {"lora_name": "none", "lora_path": "/no/such/adapter"}
    path = f"{url}/v1/load_lora_adapter"
    answer = await endpoints.send("POST", path, nothing, seconds=SECONDS, taken=(404, 500))
    if answer.status == 404 and "No adapter found" in answer.words():
        return None
    return (
        f"{path}: {answer.status} {answer.words()}; adapters need vLLM started with --enable-lora, "
        "--max-lora-rank (the run's --lora-rank or more) and VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 in "
        "its environment"
    )


def _is_plain(sampling: SamplingConfig) -> bool:
    """Whether the distribution sampled from is the model's own."""
    return sampling.temperature in (0, 1) and sampling.top_p == 1 and sampling.top_k == 0


async def _one_token(endpoints: Endpoints, url: str, *, temperature: float) -> Answer:
    # Of the token that was sampled and of the two likeliest, which it need not be one of.
    params = {"temperature": temperature, "seed": 0, "max_tokens": 1, "logprobs": 3}
    body = {"token_ids": [1], "sampling_params": params}
    return await endpoints.send("POST", f"{url}/inference/v1/generate", body, seconds=SECONDS)


def _halved(first: Answer, second: Answer) -> bool:
    """Whether the two likeliest tokens are half as far apart at twice the temperature."""
    near, far = _distance(second), _distance(first)
    return abs(near - far / 2) < 0.1 * far


def _distance(answer: Answer) -> float:
    said = answer.json()
    try:
        tokens: Iterable[dict[str, float]] = said["choices"][0]["logprobs"]["content"][0][  # pyright: ignore
            "top_logprobs"
        ]
        likeliest, next_one = sorted((item["logprob"] for item in tokens), reverse=True)[:2]
    except (TypeError, LookupError, ValueError) as error:
        raise Trouble(f"its answer has no log-probs: {str(said)[:200]}") from error
    return likeliest - next_one


def _named(url: str, error: Exception) -> str:
    """Some errors name their server and some do not."""
    text = str(error)
    return text if text.startswith(url) else f"{url}: {text}"
