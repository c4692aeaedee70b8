"""A judge's stage that is killed in its middle ends with the weights of an unbroken one."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from genagent_building.judge import build_judge, train_judge, train_judge_vision
from genagent_building.judge_cases import rendered_case
from genagent_building.midway import Midway
from genagent_building.policy import build_policy
from genagent_building.training import JUDGE_VISION, JudgeTraining
from genagent_miniworld import sample_requests
from genagent_policy import Policy

TRAINING = JudgeTraining(
    vision=replace(JUDGE_VISION, steps=3, batch=4), steps=3, batch=2, drills=1, drawn=0.5
)


class Killed(Exception):
    """Between two states."""


def dies(after: int) -> Callable[[int, object], None]:
    def report(step: int, said: object) -> None:
        if step == after:
            raise Killed

    return report


def lives(step: int, said: object) -> None:
    """Says nothing."""


@pytest.mark.slow
@pytest.mark.parametrize("train", [train_judge_vision, train_judge])
def test_a_stage_goes_on_where_it_was(tmp_path: Path, train):
    rng = random.Random(0)
    drawn = [rendered_case(request, rng) for request in sample_requests(4, seed=1, split="train")]

    def fresh() -> Policy:
        return build_judge(build_policy(0), seed=0)

    unbroken, torn = fresh(), Midway(folder=tmp_path, every=2)
    train(unbroken, drawn, TRAINING, lives)
    with pytest.raises(Killed):
        train(fresh(), drawn, TRAINING, dies(2), midway=torn)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000002"]
    (tmp_path / "step-000003.partial").mkdir()  # killed while it wrote
    later, steps = fresh(), []
    train(later, drawn, TRAINING, lambda step, _: steps.append(step), midway=torn)
    assert steps == [2]
    for (name, one), other in zip(
        unbroken.model.state_dict().items(), later.model.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other), name
    torn.clear()
    assert list(tmp_path.iterdir()) == []
