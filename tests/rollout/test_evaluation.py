"""Attempts of a step and of an evaluation, with a real engine."""

from collections.abc import Collection
from pathlib import Path

import pytest
from PIL import Image
from tests.rollout.painting import AGAIN, DONE, FIRST, painted
from tests.rollout.painting import Painter as TellingPainter
from tests.rollout.test_groups import record

from genagent_data import Picture, PictureStore, Request, derive_seed
from genagent_policy import Policy
from genagent_rewards import Verdict
from genagent_rollout import (
    GroupConfig,
    LocalEngine,
    SamplingConfig,
    evaluate,
    sample_groups,
    sample_step,
)
from genagent_worlds import Judges, Outcome, World


class Painter:
    def generate(self, prompts, seeds):
        return [Image.new("RGB", (48, 48), "red") for _ in prompts]


class Yes:
    def judge(self, questions) -> list[Verdict | None]:
        return [Verdict(choice="yes", reason="", judge="yes") for _ in questions]

    def compare(self, questions):
        raise AssertionError("an evaluation compares nothing")


class Silent:
    """A judge that says nothing of the first so many pictures that it is shown at once."""

    def __init__(self, of: int) -> None:
        self.of = of

    def judge(self, questions) -> list[Verdict | None]:
        known = Verdict(choice="yes", reason="", judge="silent")
        return [None if place < self.of else known for place, _ in enumerate(questions)]

    def why_absent(self, question) -> str:
        return "no answer"


class Likes(Yes):
    """Says yes to some pictures alone."""

    def __init__(self, names: Collection[str]) -> None:
        self.names = names

    def judge(self, questions) -> list[Verdict | None]:
        liked = [question.picture.name in self.names for question in questions]
        return [
            Verdict(choice="yes" if one else "no", reason="", judge="likes some") for one in liked
        ]


def test_seeds_of_a_step_are_its_own_and_samples_are_side_by_side(
    tiny_policy: Policy, tmp_path: Path
):
    engine = LocalEngine(tiny_policy, SamplingConfig(max_turn_tokens=4))
    requests = [Request(id=name, prompt=name) for name in ("a", "b")]
    batches = [
        sample_groups(
            engine,
            Painter(),
            requests,
            GroupConfig(samples=3, keep=2),
            seed=5,
            step=step,
            pictures=PictureStore(tmp_path),
        ).rollouts
        for step in (0, 1)
    ]
    assert [r.trajectory.request.id for r in batches[0]] == ["a"] * 3 + ["b"] * 3
    assert [r.seed for r in batches[1]] == [derive_seed(5, "rollout", 1, i) for i in range(6)]
    assert [r.turns for r in batches[0]] != [r.turns for r in batches[1]]


def test_an_evaluation_without_a_single_verdict_is_none(
    scripted, tiny_policy: Policy, tmp_path: Path
):
    """A run keeps its evaluations: blind once, it would be blind for good."""
    seeds = [derive_seed(3, "evaluation", name) for name in ("a", "b")]
    engine = scripted(
        {s: [tiny_policy.chat.turn_ids(turn) for turn in (FIRST, DONE)] for s in seeds}
    )
    requests = [Request(id=name, prompt=name) for name in ("a", "b")]

    def evaluated(silent_of: int) -> list[Outcome]:
        judges = Judges(point=Silent(silent_of), pair=Yes())
        world = World(train=None, held_out=(), tool=TellingPainter(), judges=judges)  # pyright: ignore[reportArgumentType]
        store = PictureStore(tmp_path)
        return evaluate(engine, world, requests, seed=3, max_rounds=1, pictures=store)

    said = "^none of the 2 pictures of the evaluation could be judged; the last: no answer$"
    with pytest.raises(RuntimeError, match=said):
        evaluated(2)
    assert [outcome.passed for outcome in evaluated(1)] == [(None,), (True,)]
    # The judge may have nothing to say of one request, now and at every resume.
    requests = requests[:1]
    assert [outcome.passed for outcome in evaluated(1)] == [(None,)]


def test_an_evaluation_samples_as_its_engine_is_told(tiny_policy: Policy, tmp_path: Path):
    judges = Judges(point=Yes(), pair=Yes())
    world = World(train=None, held_out=(), tool=Painter(), judges=judges)  # pyright: ignore[reportArgumentType]
    requests = [Request(id=name, prompt=name) for name in ("a", "b")]
    sampled = []
    for limit in (3, 9):
        engine = LocalEngine(tiny_policy, SamplingConfig(max_turn_tokens=limit))
        answered: list[tuple[int, int]] = []
        outcomes = evaluate(
            engine,
            world,
            requests,
            seed=3,
            max_rounds=1,
            pictures=PictureStore(tmp_path),
            progress=lambda done, total, told=answered: told.append((done, total)),
        )
        assert answered == [(1, 2), (2, 2)]
        assert [outcome.request.id for outcome in outcomes] == ["a", "b"]
        assert {outcome.source for outcome in outcomes} == {"judge"}
        sampled.append(engine.counts.decoded_tokens)
        # A random policy's words are no call: cut off at the engine's own limit.
        assert {outcome.trajectory.error for outcome in outcomes} == {"cut_off"}
    assert sampled == [2 * 3, 2 * 9]


@pytest.mark.parametrize("at_once", [False, True])
def test_outcomes_are_of_their_own_requests_whoever_ends_first(
    scripted, tiny_policy: Policy, tmp_path: Path, at_once: bool
):
    first, second = (derive_seed(3, "evaluation", name) for name in ("a", "b"))
    turns = {first: [FIRST, AGAIN, DONE], second: [FIRST, DONE]}
    engine = scripted(
        {seed: [tiny_policy.chat.turn_ids(turn) for turn in own] for seed, own in turns.items()}
    )
    liked = Picture.of(painted("draw two", derive_seed(first, "tool", 1)))
    judges = Judges(point=Likes([liked.name]), pair=Yes(), at_once=at_once)
    world = World(train=None, held_out=(), tool=TellingPainter(), judges=judges)  # pyright: ignore[reportArgumentType]
    ended: list[int] = []
    outcomes = evaluate(
        engine,
        world,
        [Request(id=name, prompt=name) for name in ("a", "b")],
        seed=3,
        max_rounds=2,
        pictures=PictureStore(tmp_path),
        progress=lambda done, total: ended.append(done),
    )
    assert ended == [1, 2]
    assert [outcome.request.id for outcome in outcomes] == ["a", "b"]
    assert [outcome.passed for outcome in outcomes] == [(False, True), (False,)]
    assert [outcome.source for outcome in outcomes] == ["judge", "judge"]
    drawn = [[round.seed for round in outcome.trajectory.rounds] for outcome in outcomes]
    assert drawn == [
        [derive_seed(first, "tool", 0), derive_seed(first, "tool", 1)],
        [derive_seed(second, "tool", 0)],
    ]


def test_attempts_that_replace_others_have_seeds_and_requests_of_their_own(
    tiny_policy: Policy, tmp_path: Path
):
    class Train:
        def __init__(self) -> None:
            self.asked: list[tuple[int, int, int]] = []

        def sample(self, n: int, *, seed: int, step: int = 0) -> list[Request]:
            self.asked.append((n, seed, step))
            return [Request(id=str(place), prompt="red") for place in range(n)]

    train = Train()
    judges = Judges(point=Yes(), pair=Yes())
    found = sample_step(
        LocalEngine(tiny_policy, SamplingConfig(max_turn_tokens=4)),
        World(train=train, held_out=(), tool=Painter(), judges=judges),
        GroupConfig(requests_per_step=2, samples=2, keep=2, dynamic_sampling=2),
        lambda cases: [record(0.0) for _ in cases],
        seed=5,
        step=1,
        pictures=PictureStore(tmp_path),
    )
    runs = [5, derive_seed(5, "again", 1), derive_seed(5, "again", 2)]
    assert train.asked == [(2, seed, 1) for seed in runs]
    seeds = [rollout.seed for rollout in found.batch.rollouts]
    assert seeds == [derive_seed(seed, "rollout", 1, i) for seed in runs for i in range(4)]
    assert len(set(seeds)) == 12
    assert (found.replaced, found.equal) == (4, 2)
