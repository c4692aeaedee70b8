"""What is said of vLLM servers before anything loads."""

import urllib.request

import pytest
from tests.rollout.vllm_talk import Serve, serve

from genagent_rollout import SamplingConfig
from genagent_rollout.vllm_check import vllm_problems
from genagent_rollout.vllm_config import VllmConfig

__all__ = ["serve"]

COOL = SamplingConfig(temperature=0.5)


def test_servers_that_can_be_used_have_no_problems(serve: Serve) -> None:
    config = VllmConfig(urls=(serve().url, serve().url + "/"), publish="folder")
    assert vllm_problems(config, COOL) == []


@pytest.mark.parametrize("publish", ["folder", "broadcast"])
def test_one_that_a_killed_publication_has_left_paused_goes_on(serve: Serve, publish) -> None:
    server = serve()
    urllib.request.urlopen(f"{server.url}/pause?mode=wait", data=b"").close()
    assert vllm_problems(VllmConfig(urls=(server.url,), publish=publish), COOL) == []


def test_each_server_has_its_own_line(serve: Serve) -> None:
    gone, closed, plain = serve(), serve(scale_out=False), serve(dev_mode=False)
    gone.stop()
    urls = (gone.url, closed.url, plain.url)
    lines = vllm_problems(VllmConfig(urls=urls, publish="folder"), COOL)
    assert [line.startswith(url) for line, url in zip(lines, urls, strict=True)] == [True] * 3
    assert "Connect" in lines[0]
    assert "start vLLM with --enable-scale-out" in lines[1]
    assert "VLLM_SERVER_DEV_MODE=1" in lines[2]


def test_adapters_are_wanted_where_they_will_be_published(serve: Serve) -> None:
    able, unable = serve(dev_mode=False), serve(lora=False)
    lines = vllm_problems(VllmConfig(urls=(able.url, unable.url), publish="lora"), COOL)
    [line] = lines
    assert line.startswith(unable.url)
    assert "--enable-lora" in line
    assert able.adapters == {}


def test_weight_transfer_is_wanted_where_weights_will_be_broadcast(serve: Serve) -> None:
    able, unable, plain = serve(), serve(workers=0), serve(dev_mode=False)
    urls = (able.url, unable.url, plain.url)
    lines = vllm_problems(VllmConfig(urls=urls, publish="broadcast"), COOL)
    assert [line.split("/")[2] in url for line, url in zip(lines, urls[1:], strict=True)] == [
        True
    ] * 2
    assert "--weight-transfer-config" in lines[0]
    assert "VLLM_SERVER_DEV_MODE=1" in lines[1]
    assert able.workers.ranks == []


def test_dev_mode_is_wanted_for_new_weights_only(serve: Serve) -> None:
    config = VllmConfig(urls=(serve(dev_mode=False).url,))
    assert vllm_problems(config, COOL) == []


@pytest.mark.parametrize(
    ("sampling", "wanted"),
    [
        (COOL, True),
        (SamplingConfig(top_p=0.9), True),
        (SamplingConfig(top_k=40), True),
        (SamplingConfig(temperature=1.0), False),
        (SamplingConfig(temperature=0.0), False),
    ],
)
def test_raw_log_probs_are_a_problem_where_they_differ(
    serve: Serve, sampling: SamplingConfig, wanted: bool
) -> None:
    lines = vllm_problems(VllmConfig(urls=(serve(processed=False).url,)), sampling)
    assert ["--logprobs-mode processed_logprobs" in line for line in lines] == [True] * wanted


def test_a_key_that_is_not_set_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    config = VllmConfig(urls=("http://127.0.0.1:1",), api_key_env="NO_SUCH_KEY")
    (line,) = vllm_problems(config, COOL)
    assert "NO_SUCH_KEY is not set" in line


@pytest.mark.parametrize("urls", [(), ("gpu1:8000",), ("http://a", "http://a")])
def test_addresses_that_are_none_are_refused(urls: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="base_urls"):
        VllmConfig(urls=urls)
