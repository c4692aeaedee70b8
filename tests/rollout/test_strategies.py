"""Strategies over a tool that paints, with models behind a real HTTP server."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.judge_server import Answer, Script, chat_for, pictures_in, serving, words_in
from tests.rollout.conftest import ScriptedEngine
from tests.rollout.painting import AGAIN, DONE, FIRST, Painter, painted

from genagent_data import Picture, PictureStore, Request, Turn, derive_seed, render_turn
from genagent_policy import Policy
from genagent_rewards import OpenAIChat
from genagent_rollout import (
    Agent,
    Answered,
    BestOfN,
    ChatReflector,
    ChatRewriter,
    ChatVerifier,
    FirstPrompt,
    Plain,
    Rewrite,
    Strategy,
    Workflow,
    answer_all,
    answered_from_row,
    answered_to_row,
    asking_by,
)
from genagent_rollout.strategies.chat_models import read_prompts

HINT = "exactly 2 grey cats"
CATS = Request(id="cats", prompt="two cats for $5", hints=(HINT,))
REWRITE, VERIFY, REFLECT = read_prompts(None)
WRONG = "<judgement>One cat is missing.</judgement><verdict>wrong</verdict>"
RIGHT = "<judgement>All there.</judgement><verdict>right</verdict>"


def answers(
    strategy: Strategy, folder: Path, requests: Sequence[Request] = (CATS,), tool=None, **more: Any
) -> list[Answered]:
    """One answer a request, of seeds 0, 1, …"""
    return answer_all(
        strategy,
        Painter() if tool is None else tool,
        requests,
        seeds=range(len(requests)),
        store=PictureStore(folder),
        **more,
    )


def rewrite_by(chat: OpenAIChat) -> Rewrite:
    return Rewrite(ChatRewriter(asking_by(chat), REWRITE, words=77))


def workflow_by(chat: OpenAIChat, rounds: int, **more: Any) -> Workflow:
    asking = asking_by(chat)
    return Workflow(
        verifier=ChatVerifier(asking, VERIFY),
        writer=ChatReflector(asking, REFLECT, words=77),
        rounds=rounds,
        **more,
    )


def looking_on(*verdicts: str) -> Script:
    """A model that gives these verdicts in turn, and numbers the prompts that it writes."""
    counts = {"verdicts": 0, "prompts": 0}

    def script(body: dict[str, Any], number: int) -> Answer:
        if "<verdict>" in words_in(body):
            counts["verdicts"] += 1
            return Answer(words=verdicts[counts["verdicts"] - 1])
        counts["prompts"] += 1
        return Answer(words=f"<thought>t</thought><prompt>better {counts['prompts']}</prompt>")

    return script


def test_the_plain_tool_gets_the_words_of_the_request_and_an_agents_first_seed(tmp_path: Path):
    [done] = answers(Plain(), tmp_path)
    seed = derive_seed(0, "tool", 0)
    [round] = done.trajectory.rounds
    assert (round.tool_prompt, round.seed) == (CATS.prompt, seed)
    assert round.picture == Picture.of(painted(CATS.prompt, seed))
    assert (done.trajectory.ending, done.turns, done.seed) == ("fixed", (), 0)
    assert done.trajectory.taken_for_right == (None,)
    assert done.seconds >= round.tool_seconds > 0


def test_best_of_n_draws_the_same_words_n_times_and_all_requests_together(tmp_path: Path):
    requests = [Request(id=name, prompt=name) for name in ("a", "b", "c")]
    tool = Painter()
    several = answers(BestOfN(3), tmp_path, requests, tool)
    assert [len(call) for call in tool.calls] == [9]
    for request, one in zip(requests, several, strict=True):
        assert [round.tool_prompt for round in one.trajectory.rounds] == [request.prompt] * 3
        assert len(set(one.trajectory.pictures)) == 3
        assert one.trajectory.taken_for_right == (None,) * 3
    plain = answers(Plain(), tmp_path, requests)
    assert [one.trajectory.pictures[:1] for one in several] == [
        one.trajectory.pictures for one in plain
    ]


def test_a_tool_in_this_process_draws_full_batches_where_nobody_speaks(tmp_path: Path):
    requests = [Request(id=str(n), prompt=str(n)) for n in range(5)]
    tool = Painter()
    assert len(answers(Plain(), tmp_path, requests, tool, batch=2)) == 5
    assert [len(call) for call in tool.calls] == [2, 2, 1]


@pytest.mark.parametrize("n", [1, 3])
def test_a_tool_that_fails_ends_it(tmp_path: Path, n: int):
    [done, fine] = answers(
        BestOfN(n), tmp_path, [Request(id="a", prompt="unlucky"), Request(id="b", prompt="b")]
    )
    assert (done.trajectory.ending, done.trajectory.error) == ("tool_failure", "out of paint")
    assert [round.picture for round in done.trajectory.rounds] == [None] * n
    assert len(fine.trajectory.pictures) == n


def test_a_rewrite_is_asked_for_with_the_request_alone(tmp_path: Path):
    words = "<think>Two of them.</think>\n<answer>two grey cats,\na tag that says 5</answer>"
    with serving(Answer(words=words)) as server:
        [done] = answers(rewrite_by(chat_for(server.url)), tmp_path)
        [body] = server.requests
    asked = str(body["messages"])
    assert CATS.prompt in asked and "At most 77 words" in asked and HINT not in asked
    [round] = done.trajectory.rounds
    assert (round.thinking, round.tool_prompt) == (
        "Two of them.",
        "two grey cats, a tag that says 5",
    )
    assert (done.turns, done.fallbacks, done.trajectory.ending) == ((words,), 0, "fixed")


def test_a_rewrite_in_which_there_is_nothing_is_the_request_itself_and_counted(tmp_path: Path):
    with serving(Answer(words="<think>I never come to an end")) as server:
        [done] = answers(rewrite_by(chat_for(server.url)), tmp_path)
    assert [round.tool_prompt for round in done.trajectory.rounds] == [CATS.prompt]
    assert (done.fallbacks, done.turns) == (1, ("<think>I never come to an end",))


def test_a_model_that_says_nothing_at_all_is_a_failure_and_no_rewrite(tmp_path: Path):
    with serving(Answer(status=500, words="no memory")) as server:
        [done] = answers(rewrite_by(chat_for(server.url)), tmp_path)
    assert (done.trajectory.ending, done.trajectory.rounds) == ("model_failure", ())
    assert done.trajectory.error is not None
    assert done.trajectory.error.startswith("rewriter: ") and "no memory" in done.trajectory.error
    assert done.fallbacks == 0


def test_a_configuration_that_cannot_work_ends_all(tmp_path: Path):
    with (
        serving(Answer(status=401, words="who are you")) as server,
        pytest.raises(ValueError, match="no endpoint accepts requests for model 'judge'"),
    ):
        answers(rewrite_by(chat_for(server.url)), tmp_path, [CATS] * 3)


def test_a_workflow_goes_on_as_often_as_it_is_told_whatever_is_said(tmp_path: Path):
    with serving(looking_on(RIGHT, WRONG)) as server:
        [done] = answers(workflow_by(chat_for(server.url), 3), tmp_path)
        bodies = server.requests
    rounds = done.trajectory.rounds
    assert [round.tool_prompt for round in rounds] == [CATS.prompt, "better 1", "better 2"]
    assert [round.judgement for round in rounds] == ["All there.", "One cat is missing.", None]
    assert [round.thinking for round in rounds] == [None, "t", "t"]
    assert done.trajectory.ending == "fixed"
    assert done.trajectory.taken_for_right == (None,) * 3
    assert len(done.turns) == len(bodies) == 4
    assert done.turns[0] == RIGHT
    # Verifier and writer see the picture in question, and neither ever the hints.
    shown = [Picture.of(picture) for body in bodies for picture in pictures_in(body)]
    first, second = done.trajectory.pictures[:2]
    assert shown == [first, first, second, second]
    assert "All there." in words_in(bodies[1]) and "better 1" in words_in(bodies[3])
    assert not any(HINT in str(body["messages"]) for body in bodies)


@pytest.mark.parametrize(
    ("verdicts", "pictures", "ending", "taken"),
    [
        ([RIGHT], 1, "answer", (True,)),
        ([WRONG, RIGHT], 2, "answer", (False, True)),
        ([WRONG, WRONG], 2, "out_of_rounds", (False, False)),
    ],
)
def test_a_workflow_that_may_stop_judges_its_last_picture_too(
    tmp_path: Path, verdicts: list[str], pictures: int, ending: str, taken: tuple[bool, ...]
):
    with serving(looking_on(*verdicts)) as server:
        workflow = workflow_by(chat_for(server.url), 2, stop_when_right=True)
        [done] = answers(workflow, tmp_path)
    assert len(done.trajectory.pictures) == pictures
    assert (done.trajectory.ending, done.trajectory.taken_for_right) == (ending, taken)


def test_a_workflow_may_begin_with_a_rewrite(tmp_path: Path):
    with serving(Answer(words="<answer>grey cats</answer>")) as server:
        chat = chat_for(server.url)
        workflow = workflow_by(chat, 1, first=ChatRewriter(asking_by(chat), REWRITE))
        [done] = answers(workflow, tmp_path)
    assert [round.tool_prompt for round in done.trajectory.rounds] == ["grey cats"]


@pytest.mark.parametrize(
    ("words", "finish", "error"),
    [
        ("It looks fine to me.", "stop", "verifier_prose"),
        ("I'm sorry, I cannot help with that.", "stop", "verifier_refusal"),
        ("<judgement>One", "length", "verifier_cut_off"),
    ],
)
def test_words_that_cannot_be_used_are_named_and_the_picture_stays(
    tmp_path: Path, words: str, finish: str, error: str
):
    with serving(Answer(words=words, finish=finish)) as server:
        [done] = answers(workflow_by(chat_for(server.url), 2), tmp_path)
    assert (done.trajectory.ending, done.trajectory.error) == ("format_error", error)
    assert len(done.trajectory.pictures) == 1
    assert done.turns == (words,)


def test_questions_of_many_trajectories_are_on_their_way_together(tmp_path: Path):
    """None is answered before all have been asked."""
    everyone = threading.Barrier(12, timeout=30)

    def script(body: dict[str, Any], number: int) -> Answer:
        everyone.wait()
        return Answer(words="<answer>p</answer>")

    requests = [Request(id=str(n), prompt=f"cat {n}") for n in range(12)]
    heard: list[int] = []
    with serving(script) as server:
        done = answers(
            rewrite_by(chat_for(server.url)),
            tmp_path,
            requests,
            ended=lambda place, one: heard.append(place),
        )
    assert [one.trajectory.request for one in done] == requests
    assert sorted(heard) == list(range(12))


def test_the_first_prompt_is_the_first_round_of_the_agent(
    scripted: Callable[..., ScriptedEngine], tiny_policy: Policy, tmp_path: Path
):
    ids = [tiny_policy.chat.turn_ids(turn) for turn in (FIRST, AGAIN, DONE)]
    broken = tiny_policy.chat.turn_ids(DONE)
    scripts = [ids, [broken]]

    def by(kind: type[Agent] | type[FirstPrompt], **more: Any) -> list[Answered]:
        strategy = kind(engine=scripted(scripts), policy="tiny", **more)
        return answers(strategy, tmp_path, [CATS, CATS])

    first, none = by(FirstPrompt)
    agent, neither = by(Agent, max_rounds=2)
    [round], (same, _) = first.trajectory.rounds, agent.trajectory.rounds
    assert (round.thinking, round.tool_prompt, round.picture, round.seed) == (
        same.thinking,
        same.tool_prompt,
        same.picture,
        same.seed,
    )
    assert (first.turns, agent.turns) == ((FIRST,), (FIRST, AGAIN, DONE))
    assert (first.trajectory.ending, agent.trajectory.ending) == ("fixed", "answer")
    for one in (none, neither):
        assert (one.trajectory.ending, one.trajectory.error) == (
            "format_error",
            "answer_before_picture",
        )


def test_a_first_prompt_is_heard_in_the_policy_s_own_syntax(
    scripted: Callable[..., ScriptedEngine], tiny_policy_path: Path, tmp_path: Path
):
    policy = Policy.load(tiny_policy_path, tool_syntax="qwen3.5")
    said = render_turn(Turn(thinking="t", tool_prompt="draw one"), syntax="qwen3.5")
    engine = scripted([[policy.chat.turn_ids(said)]], policy=policy)
    [one] = answers(FirstPrompt(engine=engine, policy="tiny"), tmp_path, [CATS])
    assert (one.trajectory.ending, one.trajectory.error) == ("fixed", None)
    assert [round.tool_prompt for round in one.trajectory.rounds] == ["draw one"]


def test_names_hold_what_results_depend_on(tmp_path: Path):
    with serving(Answer(words=RIGHT)) as server:
        fixed, free = (
            workflow_by(chat_for(server.url), 3, stop_when_right=stop) for stop in (False, True)
        )
        other = workflow_by(chat_for(server.url, temperature=0.5), 3)
    assert fixed.name == f"workflow(rounds=3, verifier=judge {VERIFY.version}, writer=judge " + (
        f"{REFLECT.version})"
    )
    assert len({fixed.name, free.name, other.name}) == 3
    assert (Plain().name, BestOfN(4).name) == ("plain", "best-of(4)")


def test_what_cannot_be_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="n is 0"):
        BestOfN(0)
    with pytest.raises(ValueError, match="1 requests and 0 seeds"):
        answer_all(Plain(), Painter(), [CATS], seeds=[], store=PictureStore(tmp_path))


def test_an_answer_is_read_as_it_was_written(tmp_path: Path):
    [done] = answers(BestOfN(2), tmp_path)
    assert answered_from_row(answered_to_row(done), PictureStore(tmp_path)) == done
    with pytest.raises(ValueError, match="not the answer to a request"):
        answered_from_row({"turns": []}, PictureStore(tmp_path))
