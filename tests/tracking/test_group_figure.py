"""The figure of a group: who is chosen, and what its columns say in their colours."""

from dataclasses import replace
from pathlib import Path

from PIL import Image

from genagent_data import PictureStore, Request, Round, Trajectory
from genagent_rewards import RewardRecord, Verdict, hybrid_reward
from genagent_tracking.group_figure import draw_group, telling_group
from genagent_worlds import AttemptRecord, GroupRecord

REQUEST = Request(id="1", prompt="a red circle for $5 or $6", task="color")


def attempt(
    store: PictureStore, passed: bool, advantage: float | None, true_success: bool | None = None
) -> AttemptRecord:
    picture = store.put(Image.new("RGB", (48, 48), "blue"))
    rounds = (Round(thinking="t", tool_prompt="red circle", picture=picture),)
    breakdown = hybrid_reward(point_passed=passed, pair_wins=[], format_error=False)
    verdict = Verdict(choice="yes" if passed else "no", reason="", judge="red")
    is_kept = advantage is not None
    return AttemptRecord(
        trajectory=Trajectory(request=REQUEST, rounds=rounds, answer="a", ending="answer"),
        turns=("t",),
        record=RewardRecord(breakdown=breakdown, point_verdict=verdict) if is_kept else None,
        advantage=advantage,
        dropped=None if is_kept else "resampled",
        true_success=true_success,
    )


def pixel(image: Image.Image, place: tuple[int, int]) -> tuple[int, ...]:
    color = image.getpixel(place)
    assert isinstance(color, tuple)
    return color


def test_the_group_whose_rewards_differ_most_is_shown_and_of_equals_the_first(tmp_path: Path):
    store = PictureStore(tmp_path)
    right, wrong = attempt(store, True, 1.0), attempt(store, False, -1.0)
    unjudged = attempt(store, True, None)
    same = GroupRecord(attempts=(right, right, right, right))
    one_wrong = GroupRecord(attempts=(right, right, right, wrong))
    even, later = (GroupRecord(attempts=(right, wrong, right, wrong)) for _ in range(2))
    assert telling_group([same, one_wrong, even, later]) is even
    only = GroupRecord(attempts=(unjudged,))
    assert telling_group([only, same]) is only
    assert telling_group([]) is None


def test_the_best_stand_left_in_green_then_red_and_what_was_dropped_is_grey(tmp_path: Path):
    store = PictureStore(tmp_path)
    dropped, wrong = attempt(store, True, None), attempt(store, False, -1.5)
    right, nothing = attempt(store, True, 1.5), attempt(store, True, 0.0)
    figure = draw_group(GroupRecord(attempts=(dropped, wrong, nothing, right)))
    heads = [pixel(figure, (20 + 162 * column, 70)) for column in range(4)]
    assert heads[0] == (26, 127, 55)  # +1.5, full green
    assert heads[2] == (207, 34, 46)  # -1.5, full red
    assert max(heads[1]) - min(heads[1]) < 20  # 0 has no colour
    assert heads[3] == (234, 238, 242)  # not judged, grey
    frames = [pixel(figure, (20 + 162 * column, 240)) for column in range(4)]
    assert frames[0][1] > frames[0][0] + 50  # the judge said yes
    assert frames[2][0] > frames[2][1] + 50


def test_a_late_advantage_counts_for_place_and_colour(tmp_path: Path):
    store = PictureStore(tmp_path)
    plain = attempt(store, True, 0.5)
    repaired = replace(attempt(store, True, -0.1), late_advantage=1.6)
    figure = draw_group(GroupRecord(attempts=(plain, repaired)))
    heads = [pixel(figure, (20 + 162 * column, 70)) for column in range(2)]
    assert heads[0] == (26, 127, 55)  # +1.5 together, full green
    assert heads[1][1] > heads[1][0] + 20 and heads[1] != heads[0]


def test_the_picture_of_what_was_dropped_is_pale(tmp_path: Path):
    store = PictureStore(tmp_path)
    kept, dropped = attempt(store, True, 0.0), attempt(store, True, None)
    figure = draw_group(GroupRecord(attempts=(kept, dropped)))
    shown = [pixel(figure, (90 + 162 * column, 200)) for column in range(2)]
    assert shown[0] == (0, 0, 255)
    assert shown[1][2] == 255 and 150 < shown[1][0] < 180


def test_an_attempt_without_a_picture_and_a_judge_that_is_mistaken_have_their_words(tmp_path: Path):
    store = PictureStore(tmp_path)
    broken = AttemptRecord(
        trajectory=Trajectory(request=REQUEST, rounds=(), ending="format_error", error="no_action"),
        turns=("hm",),
        record=RewardRecord(
            breakdown=hybrid_reward(point_passed=False, pair_wins=[], format_error=True),
            point_verdict=None,
        ),
        advantage=-1.0,
    )
    agreed = draw_group(
        GroupRecord(attempts=(attempt(store, True, 1.0, true_success=True), broken))
    )
    mistaken = draw_group(
        GroupRecord(attempts=(attempt(store, True, 1.0, true_success=False), broken))
    )

    def orange(figure: Image.Image) -> int:
        strip = figure.crop((10, 260, 172, 300))
        pixels = [pixel(strip, (x, y)) for x in range(162) for y in range(40)]
        return sum(p[0] > 170 and p[1] < 120 and p[2] < 80 for p in pixels)

    assert orange(agreed) == 0
    assert orange(mistaken) > 10
