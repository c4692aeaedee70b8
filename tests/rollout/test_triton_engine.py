"""The engine end to end with the Triton kernels: compiled on a GPU, else interpreted."""

from collections import Counter
from pathlib import Path

import pytest
import torch
from tests.rollout.conversations import cache_of, picture, recomputed, talk, together

from genagent_kernels import Backend
from genagent_policy import Policy, TokenTrajectory
from genagent_rollout import LocalEngine, SamplingConfig

pytest.importorskip("triton")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.mark.slow
def test_two_rounds_with_a_picture_by_the_kernels_are_those_by_torch(
    each_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Three conversations of which two share a prompt, on pages of 16 tokens."""
    from genagent_kernels.gpu import mrope, paged_attention, sampler

    launched: Counter[str] = Counter()

    def counted(home, name: str) -> None:
        launch = getattr(home, name)

        def counting(*arguments, **options):
            launched[name] += 1
            return launch(*arguments, **options)

        monkeypatch.setattr(home, name, counting)

    counted(mrope, "launch_rotation")
    counted(paged_attention, "launch_attention")
    counted(paged_attention, "launch_write_pages")
    counted(sampler, "launch_sampler")
    policy = Policy.load(each_path, device=DEVICE)
    # A third of all tokens end a turn, so that turns are of a few tokens and are answered.
    stops = tuple(range(0, policy.head_weight.shape[0], 3))
    sampling = SamplingConfig(max_turn_tokens=40, max_response_tokens=160, stop_tokens=stops)

    def run(backend: Backend) -> list[TokenTrajectory]:
        engine = LocalEngine(policy, sampling, cache_of(policy, 60), backend=backend)
        prompts = ["red", "red", "three blue circles"]
        talks = (talk(engine, text, seed, [picture(seed)]) for seed, text in enumerate(prompts))
        return [tokens for tokens, _ in together(*talks)]

    by_torch = run("torch")
    assert not launched
    by_triton = run("triton")
    for one, other in zip(by_torch, by_triton, strict=True):
        assert one.ids.tolist() == other.ids.tolist()
        torch.testing.assert_close(one.logprobs, other.logprobs, rtol=0, atol=1e-5)
    rounds = [len(tokens.grids) for tokens in by_triton]
    assert rounds == [1, 1, 1]
    layers = policy.text_config.num_hidden_layers
    steps = launched["launch_sampler"]
    assert steps > 4
    # Chunks are attended to by PyTorch: of the steps, the first is from the prompt's own state.
    assert layers < launched["launch_attention"] < layers * steps
    assert launched["launch_rotation"] == launched["launch_write_pages"]
    assert launched["launch_rotation"] > launched["launch_attention"]
    again = recomputed(policy, by_triton, 1.0)
    for tokens, found in zip(by_triton, again, strict=True):
        torch.testing.assert_close(found, tokens.logprobs, rtol=0, atol=2e-5)
