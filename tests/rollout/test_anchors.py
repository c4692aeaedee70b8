"""Anchors, and what groups of attempts make of them and of credit by turn."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from tests.rollout.painting import Painter, painted
from tests.rollout.test_groups import Scorer, keep_rewarded, rollout

from genagent_data import Picture, PictureStore, Request, derive_seed
from genagent_rewards import RewardBreakdown, RewardRecord
from genagent_rollout import GroupConfig, RewardedGroups, anchor_metrics, draw_anchors

TWO = [Picture.of(Image.new("RGB", (2, 2), colour)) for colour in ("red", "blue")]


def test_each_request_is_drawn_once_in_its_own_words(tmp_path: Path):
    asked = [Request(id=str(n), prompt=prompt) for n, prompt in enumerate(["a", "unlucky", "a"])]
    store = PictureStore(tmp_path)
    tool = Painter()
    anchors = draw_anchors(tool, asked, seed=3, step=5, pictures=store, batch=1)
    assert anchors[1] is None
    for place in (0, 2):
        anchor = anchors[place]
        assert anchor is not None
        expected = painted("a", derive_seed(derive_seed(3, "anchor", 5, place), "tool", 0))
        assert anchor.image.tobytes() == expected.tobytes()
        assert store.get(anchor.name).image.tobytes() == expected.tobytes()
    assert len([one for call in tool.calls for one in call if one[0] == "a"]) == 2
    assert anchor_metrics(anchors) == {"rollout/anchors": 2.0, "rollout/anchor_failures": 1.0}
    assert anchor_metrics(()) == {}
    again = draw_anchors(Painter(), asked, seed=3, step=5, pictures=store, batch=1)
    assert again == anchors


@pytest.mark.parametrize("threads", [None, ThreadPoolExecutor(2)])
def test_judges_are_shown_the_anchor_of_the_request(threads):
    seen: dict[str, Picture | None] = {}

    def score(cases):
        seen.update({case.id: case.anchor for case in cases})
        paid = RewardBreakdown(total=0, point=0, pair=0, format=0)
        return [RewardRecord(breakdown=paid, point_verdict=None) for _ in cases]

    config = GroupConfig(samples=2, keep=2)
    groups = RewardedGroups(score, config, seed=0, step=0, threads=threads, anchors=[None, TWO[1]])
    for number in range(4):
        groups.ended(number, rollout(number))
    kept = groups.kept()
    assert seen == {"r/0": None, "r/1": None, "r/2": TWO[1], "r/3": TWO[1]}
    assert [case.anchor for case in kept.cases] == [None, None, TWO[1], TWO[1]]
    assert kept.anchors == (None, TWO[1])


def test_late_rewards_are_learnt_from_beside_the_others_and_shown():
    late = {0: 0.3, 1: 0.0, 2: None, 3: 0.15}
    point = {0: 0.7, 1: 0.7, 2: 0.7, 3: 0.0}

    def score(cases):
        numbers = [int(case.id.split("/")[1]) for case in cases]
        return [
            RewardRecord(
                breakdown=RewardBreakdown(
                    total=point[n] + (late[n] or 0.0),
                    point=point[n],
                    pair=0,
                    format=0,
                    late=late[n],
                ),
                point_verdict=None,
            )
            for n in numbers
        ]

    attempts = [rollout(0, 2), rollout(1, 2), rollout(2, 1), rollout(3, 2)]
    config = GroupConfig(samples=4, keep=4)
    kept = keep_rewarded(attempts, score, config, seed=0, step=0)
    [group] = kept.learnable()
    assert group.rewards == (0.7, 0.7, 0.7, 0.0)
    assert group.late_rewards == (0.3, 0.0, None, 0.15)
    [shown] = kept.every
    assert [one.late_advantage for one in shown.attempts] == pytest.approx(
        [1.2247, -1.2247, None, 0.0], abs=1e-3
    )
    assert [one.advantage for one in shown.attempts] == pytest.approx(
        [0.5773, 0.5773, 0.5773, -1.7320], abs=1e-3
    )
    assert shown.teaches
    assert not any(one.shared_first for one in shown.attempts)


def test_attempts_that_share_their_beginning_are_shown_as_such():
    attempts = [rollout(number) for number in range(3)]
    sharing = [replace(attempts[0], first_seed=7), replace(attempts[1], first_seed=7), attempts[2]]

    def score(cases):
        paid = RewardBreakdown(total=0.7, point=0.7, pair=0, format=0)
        return [RewardRecord(breakdown=paid, point_verdict=None) for _ in cases]

    config = GroupConfig(samples=3, keep=3)
    [group] = keep_rewarded(sharing, score, config, seed=0, step=0).every
    assert [one.shared_first for one in group.attempts] == [True, True, False]
    assert not group.teaches


def test_nothing_is_learnt_from_a_first_turn_that_attempts_share():
    attempts = [rollout(number) for number in range(3)]
    sharing = [replace(attempts[0], first_seed=7), replace(attempts[1], first_seed=7), attempts[2]]
    config = GroupConfig(samples=3, keep=3)
    [learnt] = keep_rewarded(sharing, Scorer(), config, seed=0, step=0).learnable()
    assert [one.num_policy_tokens for one in learnt.trajectories] == [0, 0, 1]
    assert [one.given_turns for one in learnt.trajectories] == [1, 1, 0]
    assert learnt.rewards == (0.0, 0.1, 0.2)
