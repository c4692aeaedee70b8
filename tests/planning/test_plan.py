"""A plan as people see it: what fits where, what is refused, and what is said to help."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from genagent_planning import (
    PlanConfig,
    StepTraffic,
    Training,
    best_placement,
    plan_rl,
    plan_sft,
    planned_model,
)
from genagent_planning.memory import MemoryModel
from genagent_policy import DistributedConfig, GRPOConfig, SFTConfig, TrainedPolicyConfig
from genagent_rewards import RewardConfig
from genagent_rollout import EngineConfig, EvaluationConfig, GroupConfig, SamplingConfig
from genagent_tracking import RunConfig

SAMPLING = SamplingConfig(max_turn_tokens=2048, max_response_tokens=8192)
TRAFFIC = StepTraffic(
    requests=32,
    samples=12,
    keep=8,
    rounds=2.0,
    prompt_tokens=350,
    turn_tokens=300,
    picture_tokens=1369,
    held_out=280,
    evaluation_rounds=2.0,
    truth=False,
)


def plan(*words: str, **changes) -> None:
    settings = {
        "policy": TrainedPolicyConfig(policy="", device="cuda"),
        "shipped": {},
        "steps": 200,
        "evaluate_every": None,
        "groups": GroupConfig(requests_per_step=32),
        "evaluation": EvaluationConfig(held_out=280),
        "sampling": SAMPLING,
        "engine": EngineConfig(),
        "grpo": GRPOConfig(learning_rate=1e-6, micro_batch_tokens=16384),
        "run": RunConfig(),
        "reward": RewardConfig(),
        "distributed": DistributedConfig(),
        "truth": False,
    }
    plan_rl(list(words), **(settings | changes))


def sharing(zero: int) -> DistributedConfig:
    return DistributedConfig(zero=zero)  # pyright: ignore[reportArgumentType]


def options_of(refused: pytest.ExceptionInfo[ValueError]) -> str:
    return str(refused.value).partition("; it fits with ")[2]


def test_a_step_of_the_preset_asks_for_so_much():
    assert (TRAFFIC.attempts, TRAFFIC.pictures) == (384, 768)
    assert (TRAFFIC.point_questions, TRAFFIC.pair_questions) == (256, 256)
    assert TRAFFIC.sampled_tokens == 384 * 3 * 300
    assert TRAFFIC.attempt_tokens == 350 + 900 + 2 * (1369 + 12)
    assert (TRAFFIC.evaluation_pictures, TRAFFIC.evaluation_questions) == (560, 560)


@pytest.mark.parametrize(
    ("reward", "points", "pairs", "pictures"),
    [
        (RewardConfig(), 256, 256, 768),
        (RewardConfig(both_orders=True), 256, 512, 768),
        (RewardConfig(anchored=True), 256, 512, 800),
        (RewardConfig(peak=0.1), 512, 256, 768),
        (RewardConfig(single_round="none"), 256, 0, 768),
    ],
)
def test_a_reward_asks_for_so_much(
    reward: RewardConfig, points: float, pairs: float, pictures: float
):
    found = replace(TRAFFIC, reward=reward)
    assert (found.point_questions, found.pair_questions, found.pictures) == (
        points,
        pairs,
        pictures,
    )


def test_what_cannot_fit_is_refused_with_what_makes_it_fit():
    with pytest.raises(ValueError, match=r"^training takes \d+\.\d GiB on each of 5 GPUs") as one:
        plan()
    assert "\n" not in str(one.value)
    together = options_of(one)
    assert "--checkpoint-activations" in together and "--distributed.zero" in together
    # What it says is so: with these options it does fit.
    zero = together.partition("--distributed.zero ")[2][0]
    policy = TrainedPolicyConfig(policy="", device="cuda", checkpoint_activations=True)
    plan(policy=policy, distributed=sharing(int(zero)))
    with pytest.raises(ValueError, match="nothing known here helps"):
        plan(
            *("--gpu-gib", "20", "--tool-gib", "10"),
            policy=TrainedPolicyConfig(policy="Qwen/Qwen2.5-VL-72B-Instruct", device="cuda"),
        )
    adapted = TrainedPolicyConfig(policy="", device="cuda", lora_rank=16)
    with pytest.raises(ValueError, match=r"zero is 3 and --lora-rank 16; leave one out"):
        plan(policy=adapted, distributed=sharing(3))
    with pytest.raises(ValueError, match=r"--plan\.gpus is 3; a judge takes 2, the tool one"):
        plan("--gpus", "3")
    with pytest.raises(ValueError, match="the tool takes 90 GiB and a GPU has 80"):
        plan("--tool-gib", "90")


def test_a_plan_that_fits_shows_memory_calls_places_and_disk(capsys):
    policy = TrainedPolicyConfig(policy="", device="cuda", checkpoint_activations=True)
    plan(policy=policy, distributed=sharing(3))
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert "Qwen/Qwen2.5-VL-7B-Instruct: 8.29 e9 weights" in shown
    for words in (
        *("AdamW", "KV cache", "vision", "head", "exchange"),
        "checkpoint-activations",
        "questions about two",
        "of 32, machine 4: ",
        "2 states and one in the making",
        "--plan.tflops 989",
    ):
        assert words in shown, words
    assert "weights to sample with  15.4" in shown
    assert "(200 steps, 2 evaluations)" in shown and "to go back to" not in shown
    # 256 questions about one picture and 256 about two, of 200 tokens and 1,024 a picture; in the
    # run 200 times as many, and two evaluations of 560 pictures.
    assert "tokens the judge reads                   888,832" in shown
    assert "tokens the judge writes                  153,600" in shown
    assert "questions about one picture       52,320" in shown
    assert "tokens the judge reads       179,137,280" in shown
    plan(policy=policy, distributed=sharing(3), evaluate_every=25, run=RunConfig(keep_every=50))
    shown = capsys.readouterr().out
    # Before, after 25, 50, … 175, and after all of them; 8.29e9 weights in bfloat16 each.
    assert "(200 steps, 9 evaluations)" in shown
    assert re.search(r"4 policies to go back to +62", shown)
    served = EngineConfig(urls="http://gpu1:8000")
    plan(policy=policy, distributed=sharing(3), engine=served, truth=True)
    shown = capsys.readouterr().out
    assert "questions about two" in shown and "the judge reads" not in shown
    assert "rollouts " in shown and "KV cache" not in shown and "sample with" not in shown


def test_an_adapter_and_an_optimizer_in_the_host_s_memory_fit_where_all_weights_do_not(capsys):
    policy = TrainedPolicyConfig(policy="", device="cuda", checkpoint_activations=True)
    plan("--gpus", "5", policy=replace(policy, lora_rank=16))
    shown = capsys.readouterr().out
    assert "an adapter of 40.4 e6 in float32 is learnt alone" in shown
    assert "master weights" not in shown
    plan("--gpus", "5", policy=policy, distributed=DistributedConfig(offload_optimizer=True))
    shown = capsys.readouterr().out
    assert "and 113.5 GiB of the host's memory for each" in shown
    assert "AdamW" not in shown


def test_fine_tuning_has_its_plan_too(capsys):
    settings = {
        "shipped": {},
        "sft": SFTConfig(micro_batch_tokens=16384),
        "evaluation": EvaluationConfig(held_out=280),
        "engine": EngineConfig(),
        "run": RunConfig(),
    }
    policy = TrainedPolicyConfig(policy="", device="cuda", checkpoint_activations=True)
    plan_sft([], policy=policy, distributed=sharing(3), **settings)
    shown = capsys.readouterr().out
    assert "memory of each of 8 GPUs (ZeRO 3)" in shown and "to go back to" not in shown
    with pytest.raises(ValueError, match="training takes") as one:
        plan_sft([], policy=policy, distributed=DistributedConfig(), **settings)
    assert "--distributed.zero" in options_of(one)


def test_fine_tuning_says_the_disk_of_policies_to_go_back_to(capsys):
    def disk(records: int | None = None) -> str:
        plan_sft(
            [],
            policy=TrainedPolicyConfig(policy="", device="cuda", checkpoint_activations=True),
            shipped={},
            sft=SFTConfig(micro_batch_tokens=16384),
            evaluation=EvaluationConfig(held_out=280),
            engine=EngineConfig(),
            run=RunConfig(keep_every=20),
            distributed=sharing(3),
            records=records,
        )
        return capsys.readouterr().out.partition("disk, GiB")[2]

    # 8.29e9 weights in bfloat16 are 15.4 GiB; 3 epochs of 3,475 records are 41 steps of 256.
    assert re.search(r"a policy to go back to, every 20 steps +15\b", disk())
    shown = disk(records=3475)
    assert re.search(r"2 policies to go back to +31\b", shown)
    assert re.search(r"2 states and one in the making +324\b", shown)
    assert "to go back to" not in disk(records=1600)  # 19 steps
    with pytest.raises(ValueError, match=r"sft\.batch_size is 256, and there are 255 records"):
        disk(records=255)


def test_the_fastest_split_takes_every_gpu_and_more_of_them_are_faster():
    model = MemoryModel(
        planned_model("Qwen/Qwen2.5-VL-3B-Instruct", Path("nowhere")),
        Training(
            dtype=torch.bfloat16,
            tokens=8192,
            chosen=2000,
            pictures=4,
            picture_side=1024,
            checkpoint_activations=True,
            zero=2,
        ),
    )
    given, steps = PlanConfig(), []
    for gpus in (8, 16, 32):
        found = best_placement(model, TRAFFIC, given, gpus=gpus, served=False)
        assert found is not None and found.memory.total <= given.room
        assert found.training + found.tools + 2 * found.judges == gpus
        assert sum(line.count("training") for line in found.nodes(8)) == -(-found.training // 8)
        steps.append(found.seconds.step)
    assert steps == sorted(steps, reverse=True)
    assert best_placement(model, TRAFFIC, given, gpus=3, served=False) is None
