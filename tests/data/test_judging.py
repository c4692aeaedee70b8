"""What judges are told of a trajectory."""

import pytest
from PIL import Image

from genagent_data import Picture, Request, Round, Trajectory, reward_case
from genagent_rewards import RewardCase

RED, BLUE = (Picture.of(Image.new("RGB", (2, 2), colour)) for colour in ("red", "blue"))


@pytest.mark.parametrize(
    ("ending", "format_error"),
    [("answer", False), ("out_of_rounds", False), ("tool_failure", False), ("format_error", True)],
)
def test_judges_see_request_hints_and_pictures_and_none_of_the_agents_words(ending, format_error):
    drawn = Trajectory(
        request=Request(id="train-7", prompt="a red circle", task="color", hints=("red", "one")),
        rounds=(
            Round(thinking="blue", tool_prompt="a blue circle", picture=BLUE, judgement="wrong"),
            Round(thinking="red", tool_prompt="a red circle!", picture=RED, judgement="right"),
            Round(thinking="more", tool_prompt="a redder circle", picture=None),
        ),
        answer="here you are",
        ending=ending,
        error="some",
    )
    assert reward_case(drawn, attempt=3, anchor=RED) == RewardCase(
        id="train-7/3",
        request="a red circle",
        hints=("red", "one"),
        pictures=(BLUE, RED),
        format_error=format_error,
        anchor=RED,
        taken_for_right=(False, False),
    )
    assert reward_case(drawn).id == "train-7/0"
    assert reward_case(drawn).anchor is None


def test_without_a_round_there_is_nothing_to_see():
    case = reward_case(Trajectory(request=Request(id="1", prompt="p"), rounds=(), ending="answer"))
    assert (case.pictures, case.hints) == ((), ())
