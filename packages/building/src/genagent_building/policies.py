"""Training the policies: a common start that can read and judge, then ``base`` and ``sft``.

``base`` comes out of the common start by unreliable lessons, as a general model that was never
taught this protocol; ``sft`` comes out of ``base`` by the cold start, as in the paper.
"""

import random
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

from genagent_building.lessons import (
    Lesson,
    drill,
    lessons_from,
    tokens,
    unreliable_lesson,
)
from genagent_building.training import HELD_OUT_SHARE, PolicyTraining
from genagent_data import RecordFolder
from genagent_miniworld.teacher import Teacher
from genagent_policy import (
    BatchPlan,
    Policy,
    RecordSet,
    SFTConfig,
    SFTReport,
    SFTUpdate,
    split_records,
)

Report = Callable[[int, SFTReport], None]


def train_reading(
    policy: Policy, drawn: Sequence[Lesson], config: PolicyTraining, report: Report
) -> None:
    """Protocol, lore and judgement: scenes that are never the same, and the tool's own pictures."""
    rng = random.Random(f"reading-{config.seed}")
    teacher = Teacher(explicit_first=0.5)
    update = _update(policy, config.reading_rate, 2 * config.reading_steps, config.batch)
    old = round(config.drawn * config.batch)
    for step in range(config.reading_steps):
        lessons = lessons_from(config.batch - old, teacher, seed=_seed(config, step), rng=rng)
        lessons += rng.sample(drawn, old)
        report(step, update.step([tokens(policy, lesson) for lesson in lessons]))
        update.step([drill(policy, rng) for _ in range(config.drill_batch)])


def train_base(
    policy: Policy, drawn: Sequence[Lesson], config: PolicyTraining, report: Report
) -> None:
    """Make the policy what an untaught model is: unreliable, copying, judging by a coin."""
    rng = random.Random(f"base-{config.seed}")
    update = _update(policy, config.base_rate, config.base_steps, config.batch)
    for step in range(config.base_steps):
        lessons = [
            unreliable_lesson(lesson, fault=config.fault, rng=rng)
            for lesson in rng.sample(drawn, config.batch)
        ]
        report(step, update.step([tokens(policy, lesson) for lesson in lessons]))


def train_sft(
    policy: Policy, folder: Path, config: SFTConfig, report: Report, *, seed: int
) -> None:
    """The cold start from the records of a folder, as ``experiments/sft.py`` has it."""
    records = RecordFolder(folder)
    split = split_records(records, held_out=HELD_OUT_SHARE)
    learnt = RecordSet(policy, records, split.taught, config)
    plan = BatchPlan(learnt.sizes, config, seed=seed)
    update = SFTUpdate(policy, config, total_steps=plan.total_steps)
    with learnt.rendering(plan.parts_from(0)) as rendered:
        for step in range(plan.total_steps):
            parts = islice(rendered, len(plan.parts(step)))
            report(step, update.step_in_parts(parts, policy_tokens=plan.policy_tokens(step)))


def _update(policy: Policy, rate: float, steps: int, batch: int) -> SFTUpdate:
    config = SFTConfig(learning_rate=rate, batch_size=batch, final_fraction=0.02, weight_decay=0.01)
    return SFTUpdate(policy, config, total_steps=steps)


def _seed(config: PolicyTraining, step: int) -> int:
    return config.seed * 1_000_003 + step
