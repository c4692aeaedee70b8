"""Strategies by their options."""

from pathlib import Path

import pytest
import tyro
from pydantic import TypeAdapter
from tests.judge_server import Answer, pictures_in, refused_url, serving
from tests.rollout.painting import Painter

from genagent_data import PictureStore, Request
from genagent_policy import Policy
from genagent_rollout import LocalEngine, StrategyConfig, answer_all
from genagent_worlds import TeacherEndpoints

CATS = Request(id="cats", prompt="two cats")


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="name one or more of plain, rewrite"):
        StrategyConfig(strategies=())
    with pytest.raises(ValueError, match="name each once"):
        StrategyConfig(strategies=("plain", "plain"))
    with pytest.raises(ValueError, match=r"rounds is \(0,\)"):
        StrategyConfig(rounds=(0,))
    with pytest.raises(ValueError, match="best_of is 0"):
        StrategyConfig(best_of=0)


def test_models_are_wanted_by_those_who_ask_them():
    assert StrategyConfig(strategies=("plain", "best-of")).problems() == []
    assert StrategyConfig(strategies=("agent", "first-prompt")).needs_policy
    assert not StrategyConfig(strategies=("plain", "workflow")).needs_policy
    lines = StrategyConfig(strategies=("rewrite", "workflow")).problems()
    assert [line.split(":")[0] for line in lines] == [
        "--rewriter.urls is missing",
        "--verifier.urls is missing",
        "--writer.urls is missing",
    ]
    assert StrategyConfig(strategies=("rewrite", "workflow")).problems(stand_in=True) == []


def test_endpoints_are_asked_and_only_those_that_look_are_shown_a_picture(tmp_path: Path):
    with serving(Answer(words="yes")) as looks, serving(Answer(words="yes")) as writes:
        config = StrategyConfig(
            strategies=("rewrite", "workflow"),
            writer=TeacherEndpoints(urls=looks.url, model="qwen", temperature=0.0),
            rewriter=TeacherEndpoints(urls=writes.url, model="enhancer", temperature=0.0),
        )
        assert config.problems() == []
        [asked] = writes.requests
        assert (asked["model"], pictures_in(asked)) == ("enhancer", [])
        assert [len(pictures_in(body)) for body in looks.requests] == [1, 1]
    down = TeacherEndpoints(urls=refused_url(), model="qwen", temperature=0.0)
    [line] = StrategyConfig(strategies=("rewrite",), writer=down).problems()
    assert "--rewriter.urls" in line and "does not answer for model 'qwen' (" in line
    nameless = TeacherEndpoints(urls="http://a/v1", temperature=0.0)
    [line] = StrategyConfig(strategies=("rewrite",), rewriter=nameless).problems()
    assert line.startswith("--rewriter.model is missing")


def test_own_prompts_are_read_and_looked_at_beforehand(tmp_path: Path):
    config = StrategyConfig(strategies=("rewrite",), prompts=tmp_path)
    [line] = config.problems(stand_in=True)
    assert line.startswith("--prompts: ") and "rewrite.md" in line


def test_they_are_opened_in_order_and_keep_words_in_the_work(tmp_path: Path, tiny_policy: Policy):
    with serving(Answer(words="<answer>grey cats</answer>")) as server:
        config = StrategyConfig(
            strategies=("rewrite", "plain", "workflow", "agent", "first-prompt", "best-of"),
            rounds=(3,),
            best_of=2,
            writer=TeacherEndpoints(urls=server.url, model="qwen", temperature=0.0),
        )
        opened = []
        for _ in range(2):
            opened = config.open(
                tmp_path / "work", engine=LocalEngine(tiny_policy), policy="tiny", words=20
            )
            [done] = answer_all(
                opened[0], Painter(), [CATS], seeds=[0], store=PictureStore(tmp_path)
            )
            assert done.trajectory.rounds[0].tool_prompt == "grey cats"
        assert len(server.requests) == 1
        assert "At most 20 words" in str(server.requests[0]["messages"])
    names = [strategy.name.split("(")[0] for strategy in opened]
    assert names == list(config.strategies)
    assert "rounds=3" in opened[2].name and opened[5].name == "best-of(2)"


def test_without_a_policy_or_a_model_it_is_said_what_to_give(tmp_path: Path):
    with pytest.raises(ValueError, match="strategy agent wants a policy; give --policy"):
        StrategyConfig(strategies=("agent",)).open(tmp_path)
    with pytest.raises(ValueError, match=r"no model is given as rewriter; give --rewriter\.urls"):
        StrategyConfig(strategies=("rewrite",)).open(tmp_path)


def test_a_command_line_and_a_file_name_them():
    options = "--strategy plain workflow --rounds 3 1 --verifier.model eyes"
    writer = "--writer.urls http://a/v1 --writer.model qwen"
    config = tyro.cli(StrategyConfig, args=[*options.split(), *writer.split()])
    assert (config.strategies, config.rounds) == (("plain", "workflow"), (3, 1))
    assert config.part("writer").chat().temperature == 0
    assert (config.part("verifier").urls, config.part("verifier").model) == ("http://a/v1", "eyes")
    kept = TypeAdapter(StrategyConfig)
    assert kept.validate_json(kept.dump_json(config)) == config


def test_each_number_of_rounds_is_a_way_of_those_that_have_any(tmp_path: Path, tiny_policy: Policy):
    config = StrategyConfig(strategies=("plain", "agent", "best-of"), rounds=(1, 2), best_of=3)
    assert config.ways == [("plain", 1), ("agent", 1), ("agent", 2), ("best-of", 3)]
    opened = config.open(tmp_path, engine=LocalEngine(tiny_policy), policy="tiny")
    assert [strategy.name for strategy in opened] == [
        "plain",
        "agent(rounds=1, policy=tiny)",
        "agent(rounds=2, policy=tiny)",
        "best-of(3)",
    ]
    without, of_policy = config.apart()
    assert without is not None and without.strategies == ("plain", "best-of")
    assert of_policy is not None and of_policy.strategies == ("agent",)
    assert StrategyConfig(strategies=("plain",)).apart()[1] is None
