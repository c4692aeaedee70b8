from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genagent_data import FORMAT_ERRORS, PictureStore, Request, Turn, derive_seed, render_turn
from genagent_policy import Policy
from genagent_rollout import RolloutEngine, run_agents
from genagent_tools.tool import PartialFailure, ToolError

FIRST = render_turn(Turn(thinking="t", tool_prompt="draw one"))
AGAIN = render_turn(Turn(judgement="one missing", thinking="more", tool_prompt="draw two"))
DONE = render_turn(Turn(judgement="all there", answer="done"))
FAILS = render_turn(Turn(thinking="t", tool_prompt="unlucky"))

SAMPLED = -1
"""In a script: let the policy sample this token."""


class Painter:
    """A tool whose picture follows from prompt and seed; refuses what is unlucky."""

    def __init__(self) -> None:
        self.calls: list[list[tuple[str, int]]] = []

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        self.calls.append(list(zip(prompts, seeds, strict=True)))
        if "unlucky" in prompts:
            raise ToolError("out of paint")
        return [_painted(prompt, seed) for prompt, seed in self.calls[-1]]


class Miser:
    """A tool that gives one picture too few."""

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        return [_painted(prompt, seed) for prompt, seed in zip(prompts, seeds, strict=True)][1:]


def _painted(prompt: str, seed: int) -> Image.Image:
    rng = np.random.default_rng([seed, *prompt.encode()])
    return Image.fromarray(rng.integers(0, 256, (48, 48, 3), dtype=np.uint8))


def _requests(count: int) -> list[Request]:
    return [Request(id=f"r{index}", prompt=f"picture {index // 2}") for index in range(count)]


@pytest.fixture
def act(tiny_policy: Policy, scripted: Callable[..., RolloutEngine], tmp_path: Path):
    """``act(scripts, tool)`` with texts as turns; a list of ids stands for itself."""

    def run(scripts, tool=None, *, max_rounds: int = 2, **sampling):
        ids = [
            [tiny_policy.chat.turn_ids(turn) if isinstance(turn, str) else turn for turn in script]
            for script in scripts
        ]
        return run_agents(
            scripted(ids, **sampling),
            tool or Painter(),
            _requests(len(scripts)),
            seeds=range(len(scripts)),
            max_rounds=max_rounds,
            store=PictureStore(tmp_path),
        )

    return run


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
            expected = _painted(round.tool_prompt, round.seed)
            assert round.picture.image.tobytes() == expected.tobytes()
            assert store.get(round.picture.name).image.tobytes() == expected.tobytes()


def test_words_and_tokens_are_the_turns(act, tiny_policy: Policy):
    (rollout,) = act([[FIRST, AGAIN, DONE]]).rollouts
    assert rollout.turns == (FIRST, AGAIN, DONE)
    chosen = rollout.tokens.ids[rollout.tokens.policy_mask].tolist()
    expected = [token for turn in (FIRST, AGAIN, DONE) for token in tiny_policy.chat.turn_ids(turn)]
    assert chosen == expected


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


@pytest.mark.parametrize("error", FORMAT_ERRORS)
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
    assert rollouts[1].trajectory.ending == "answer"


def test_a_judgement_before_the_error_is_kept(act):
    (rollout,) = act([[FIRST, "<judge>half right</judge>and then"]]).rollouts
    assert rollout.trajectory.error == "no_action"
    assert rollout.trajectory.rounds[0].judgement == "half right"


def test_a_failed_call_ends_only_its_own_trajectory(act):
    tool = Painter()
    batch = act([[FIRST, DONE], [FAILS], [FIRST, DONE]], tool)
    one, two, three = (rollout.trajectory for rollout in batch.rollouts)
    assert (one.ending, three.ending) == ("answer", "answer")
    assert (two.ending, two.error) == ("tool_failure", "out of paint")
    assert [(round.tool_prompt, round.picture) for round in two.rounds] == [("unlucky", None)]
    assert two.pictures == ()
    assert [len(call) for call in tool.calls] == [3, 1, 1, 1]


def test_pictures_that_were_had_are_not_drawn_again_where_others_of_their_batch_failed(act):
    class Remote(Painter):
        def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
            self.calls.append(list(zip(prompts, seeds, strict=True)))
            raise PartialFailure(
                [
                    ToolError("no answer") if prompt == "unlucky" else _painted(prompt, seed)
                    for prompt, seed in self.calls[-1]
                ]
            )

    tool = Remote()
    batch = act([[FIRST, DONE], [FAILS], [FIRST, DONE]], tool)
    endings = [(r.trajectory.ending, r.trajectory.error) for r in batch.rollouts]
    assert endings == [("answer", None), ("tool_failure", "no answer"), ("answer", None)]
    assert [len(call) for call in tool.calls] == [3]


def test_a_tool_that_is_short_of_a_picture_has_failed(act):
    batch = act([[FIRST, DONE], [FIRST, DONE]], Miser())
    assert [rollout.trajectory.ending for rollout in batch.rollouts] == ["tool_failure"] * 2
    assert batch.rollouts[0].trajectory.error == "the tool gave 0 pictures for 1 prompts"


def test_a_failure_of_another_kind_is_not_swallowed(act):
    class Broken:
        def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        act([[FIRST, DONE]], Broken())


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


def test_the_same_seeds_say_and_draw_the_same_again(act, tiny_policy: Policy):
    """Both attempts are at one request, and choose the tokens of their last turn."""
    script = [FIRST, [*[SAMPLED] * 6, tiny_policy.chat.turn_end_id]]
    first, second = (act([script, script]).rollouts for _ in range(2))
    assert first[0].turns[1] != first[1].turns[1]
    assert first[0].trajectory.pictures != first[1].trajectory.pictures
    for one, other in zip(first, second, strict=True):
        assert one.turns == other.turns
        assert one.trajectory.pictures == other.trajectory.pictures
        assert one.tokens.logprobs.tolist() == other.tokens.logprobs.tolist()


def test_refuses_what_does_not_fit(tiny_policy: Policy, tmp_path: Path):
    engine, store = RolloutEngine(tiny_policy), PictureStore(tmp_path)
    with pytest.raises(ValueError, match="2 requests and 1 seeds"):
        run_agents(engine, Painter(), _requests(2), seeds=[0], max_rounds=1, store=store)
    with pytest.raises(ValueError, match="max_rounds is 0"):
        run_agents(engine, Painter(), _requests(1), seeds=[0], max_rounds=0, store=store)
    assert run_agents(engine, Painter(), [], seeds=[], max_rounds=1, store=store).rollouts == ()
