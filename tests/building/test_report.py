"""What the built parts can do: the table's own counting, and what ships held against it."""

from pathlib import Path

import pytest
import torch

from genagent_building.report import evaluate_truly, policy_figures, tool_figures, turn_errors
from genagent_data import Picture, PictureStore, Request, Round, Trajectory
from genagent_miniworld import Miniature, load_tool, sample_requests, weights
from genagent_policy import Policy, PolicyConfig
from genagent_worlds import Outcome, paired_p_value, summarize

NOWHERE = Path("nowhere.png")
"""Of pictures that nobody looks at."""


@pytest.fixture(scope="module")
def tool():
    return load_tool("flux-mini")


def outcome(number: int, *passed: bool, error: str | None = None) -> Outcome:
    trajectory = Trajectory(
        request=Request(id=str(number), prompt="a red circle", task="color"),
        rounds=tuple(
            Round(thinking="t", tool_prompt="p", picture=Picture(f"{number}-{i}", path=NOWHERE))
            for i in range(len(passed))
        ),
        ending="format_error" if error else "answer",
        error=error,
    )
    return Outcome(trajectory=trajectory, passed=passed, source="truth")


def test_turn_errors_blame_the_last_turn():
    outcomes = [outcome(0, False, True), outcome(1, True, error="invalid_json")]
    assert turn_errors(outcomes) == [False, False, False, False, True]


def test_an_explicit_prompt_is_obeyed_and_a_bare_request_seldom(tool):
    figures = {f.what: f.rate for f in tool_figures("flux-mini", tool, count=90, seed=77)}
    # The table has them above .75 and below .45 on 400; these bounds leave room for 90.
    assert figures["explicit prompt, up to 4 items"].value > 0.7
    assert figures["bare request, up to 4 items"].value < 0.5


def test_a_policys_lines_are_of_its_attempts(tool, tmp_path):
    policy, store = Policy.load(weights("sft")), PictureStore(tmp_path)
    requests = sample_requests(9, seed=5, split="held-out")
    figures = policy_figures("sft", policy, tool, requests, seed=0, store=store)
    outcomes = evaluate_truly(policy, tool, requests, seed=0, max_rounds=3, store=store)
    summary, turns = summarize(outcomes), turn_errors(outcomes)
    judged = sum(len(outcome.agreements) for outcome in outcomes)
    assert [(f.what, f.rate.value, f.rate.trials) for f in figures] == [
        ("success, last picture", summary["success"], 9),
        ("success, first picture", summary["first_success"], 9),
        ("turns with a format error", sum(turns) / len(turns), len(turns)),
        ("judgements that agree with the verifier", summary["judgement_agreement"], judged),
    ]


@pytest.mark.slow
def test_base_breaks_the_protocol_and_sft_does_not(tool, tmp_path):
    requests = sample_requests(90, seed=5, split="held-out")
    store = PictureStore(tmp_path)
    results = {
        name: evaluate_truly(
            Policy.load(weights(name)), tool, requests, seed=0, max_rounds=3, store=store
        )
        for name in ("base", "sft")
    }
    base, sft = (turn_errors(results[name]) for name in ("base", "sft"))
    assert 0.04 < sum(base) / len(base) < 0.25
    assert sum(sft) / len(sft) < 0.03
    figures = summarize(results["sft"])
    assert figures["success"] > figures["first_success"]
    assert figures["judgement_agreement"] > 0.8
    assert paired_p_value(results["base"], results["sft"]) < 0.001


def test_a_folder_or_name_that_is_no_policy_is_named(tmp_path):
    shipped = Miniature().policies
    assert PolicyConfig(policy="nonsense").problems(shipped) == [
        "no policy 'nonsense'; give base or sft, or a checkpoint folder"
    ]
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    [line] = PolicyConfig(policy=str(tmp_path)).problems(shipped)
    assert "llama" in line
    with pytest.raises(ValueError, match="llama"):
        Policy.load(tmp_path)


def test_sft_weights_are_finite_and_of_one_dtype():
    model = PolicyConfig(policy="sft").load(Miniature().policies).model
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert all(torch.isfinite(p).all() for p in model.parameters())
