"""A trajectory from its first turn to each of its endings."""

import asyncio
from pathlib import Path

import pytest
from tests.rollout.painting import AGAIN, DONE, FIRST, Painter, painted, requests

from genagent_data import FORMAT_ERRORS, PictureStore, Round, Turn, derive_seed, render_turn
from genagent_policy import Policy
from genagent_rollout import act as run_one
from genagent_rollout.activity import Activity
from genagent_rollout.drawing import drawing_by


def test_every_well_formed_ending_in_one_batch(act, tmp_path: Path):
    tool = Painter()
    batch = act([[FIRST, DONE], [FIRST, AGAIN, DONE], [FIRST, AGAIN, AGAIN]], tool)
    one, two, three = (rollout.trajectory for rollout in batch.rollouts)

    assert (one.ending, one.answer, one.error) == ("answer", "done", None)
    assert [round.judgement for round in one.rounds] == ["all there"]
    assert (one.rounds[0].thinking, one.rounds[0].tool_prompt) == ("t", "draw one")

    assert (two.ending, two.answer) == ("answer", "done")
    assert [round.judgement for round in two.rounds] == ["one missing", "all there"]
    assert [round.tool_prompt for round in two.rounds] == ["draw one", "draw two"]

    assert (three.ending, three.answer, three.error) == ("out_of_rounds", None, None)
    assert [round.judgement for round in three.rounds] == ["one missing", "one missing"]

    assert [len(call) for call in tool.calls] == [3, 2]
    assert [rollout.trajectory.request.id for rollout in batch.rollouts] == ["r0", "r1", "r2"]
    assert batch.timings.policy > 0
    assert batch.timings.tool > 0

    store = PictureStore(tmp_path)
    for rollout in batch.rollouts:
        trajectory = rollout.trajectory
        assert len(rollout.tokens.grids) == len(trajectory.rounds)
        for round in trajectory.rounds:
            assert round.picture is not None
            expected = painted(round.tool_prompt, round.seed)
            assert round.picture.image.tobytes() == expected.tobytes()
            assert store.get(round.picture.name).image.tobytes() == expected.tobytes()


def test_words_and_tokens_are_the_turns(act, tiny_policy: Policy):
    (rollout,) = act([[FIRST, AGAIN, DONE]]).rollouts
    assert rollout.turns == (FIRST, AGAIN, DONE)
    chosen = rollout.tokens.ids[rollout.tokens.policy_mask].tolist()
    expected = [token for turn in (FIRST, AGAIN, DONE) for token in tiny_policy.chat.turn_ids(turn)]
    assert chosen == expected


def test_a_policy_of_another_syntax_is_heard_in_it(act, tiny_policy_path: Path):
    turns = (Turn(thinking="t", tool_prompt="draw one"), Turn(judgement="fine", answer="done"))
    said = [render_turn(turn, syntax="qwen3.5") for turn in turns]
    policy = Policy.load(tiny_policy_path, tool_syntax="qwen3.5")
    (rollout,) = act([said], policy=policy).rollouts
    assert rollout.tool_syntax == "qwen3.5"
    assert (rollout.trajectory.ending, rollout.turns) == ("answer", tuple(said))
    assert rollout.trajectory.rounds[0].tool_prompt == "draw one"
    shown = policy.chat.decode(rollout.tokens.ids[~rollout.tokens.policy_mask].tolist())
    assert "<function=generate_image>" in shown and '"arguments"' not in shown
    # In its own syntax only.
    (other,) = act([[FIRST]], policy=policy).rollouts
    assert (other.trajectory.ending, other.trajectory.error) == ("format_error", "invalid_json")


BROKEN = {
    "two_actions": [FIRST, "<judge>j</judge><answer>a</answer><answer>b</answer>"],
    "no_action": ["<think>only</think>"],
    "text_after_action": [FIRST + "more"],
    "answer_before_picture": ["<answer>a</answer>"],
    "missing_judgement": [FIRST, "<answer>a</answer>"],
    "missing_thinking": [
        '<tool_call>{"name": "generate_image", "arguments": {"prompt": "p"}}</tool_call>'
    ],
    "misplaced_text": ["hello" + FIRST],
    "invalid_json": ["<think>t</think><tool_call>{</tool_call>"],
    "unknown_tool": [
        '<think>t</think><tool_call>{"name": "paint", "arguments": {"prompt": "p"}}</tool_call>'
    ],
    "empty_prompt": [
        '<think>t</think><tool_call>{"name": "generate_image", "arguments": {"prompt": " "}}'
        "</tool_call>"
    ],
}


@pytest.mark.parametrize("error", [name for name in FORMAT_ERRORS if name != "long_prompt"])
def test_each_format_error_ends_the_trajectory(act, tiny_policy: Policy, error: str):
    chat = tiny_policy.chat
    if error == "vision_token":
        script = [FIRST, [*chat.turn_ids("<judge>")[:-1], chat.image_token_id, chat.turn_end_id]]
    elif error == "cut_off":
        script = [FIRST, chat.turn_ids("<judge>" + "x" * 80)]
    else:
        script = BROKEN[error]
    rollouts = act([script, [FIRST, DONE]]).rollouts
    broken = rollouts[0].trajectory
    assert (broken.ending, broken.error, broken.answer) == ("format_error", error, None)
    assert len(broken.pictures) == len(script) - 1  # the picture drawn before still counts
    assert len(rollouts[0].turns) == len(script)
    assert rollouts[0].tokens.truncated == (error == "cut_off")
    assert not rollouts[1].tokens.truncated
    assert rollouts[1].trajectory.ending == "answer"


def test_what_is_cut_off_is_known_as_such_where_another_error_comes_first(act, tiny_policy: Policy):
    chat = tiny_policy.chat
    script = [[*chat.turn_ids("<think>" + "x" * 80)[:-1]]]
    script[0][7] = chat.image_token_id
    (rollout,) = act([script]).rollouts
    assert rollout.trajectory.error == "vision_token"
    assert rollout.tokens.truncated


def test_a_judgement_before_the_error_is_kept(act):
    (rollout,) = act([[FIRST, "<judge>half right</judge>and then"]]).rollouts
    assert rollout.trajectory.error == "no_action"
    assert rollout.trajectory.rounds[0].judgement == "half right"


def test_pictures_follow_from_the_seed_whatever_the_batch(act):
    scripts = [[FIRST, AGAIN, DONE]] * 5
    whole = act(scripts).rollouts
    parts = act(scripts, max_batch=2).rollouts
    assert [rollout.trajectory.pictures for rollout in whole] == [
        rollout.trajectory.pictures for rollout in parts
    ]
    seeds = [round.seed for rollout in whole for round in rollout.trajectory.rounds]
    assert len(set(seeds)) == 10
    assert whole[3].trajectory.rounds[1].seed == derive_seed(3, "tool", 1)


def test_a_watcher_hears_of_turns_and_pictures_in_order(scripted, tiny_policy: Policy, tmp_path):
    heard: list[tuple[str, str | None]] = []

    class Notes:
        def spoke(self, turn: Turn) -> None:
            heard.append(("spoke", turn.answer or turn.tool_prompt))

        def drew(self, round: Round) -> None:
            heard.append(("drew", None if round.picture is None else round.tool_prompt))

    scripts = [[tiny_policy.chat.turn_ids(turn) for turn in (FIRST, AGAIN, DONE)]]
    activity = Activity()
    drawing = drawing_by(Painter(), PictureStore(tmp_path), activity)
    asyncio.run(
        run_one(
            scripted(scripts),
            drawing,
            requests(1)[0],
            seed=0,
            max_rounds=3,
            activity=activity,
            watcher=Notes(),
        )
    )

    assert heard == [
        ("spoke", "draw one"),
        ("drew", "draw one"),
        ("spoke", "draw two"),
        ("drew", "draw two"),
        ("spoke", "done"),
    ]
