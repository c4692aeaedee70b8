"""What trains the weights that ship, from the first stage to its table, with a few steps each."""

import pytest
from tests.experiments.running import only_run, run, summary_of


@pytest.mark.slow
def test_every_stage_runs_and_each_part_is_measured(tmp_path):
    done = run("build_miniworld.py", tmp_path, "smoke", "--no-trial")
    assert done.returncode == 0, done.stderr
    assert "held-out requests, 95 % intervals" in done.stdout
    assert "uv run experiments/build_miniworld.py --install" in done.stdout
    page = (tmp_path / "build" / "smoke" / "README.md").read_text()
    # Policies of four steps get nothing right: 20 requests, and no turn that keeps the protocol.
    assert "| sft | success, last picture | 0.0 % [0.0, 16.1] | 20 |" in page
    assert "| judge-mini | pairwise verdicts that agree with the verifier, pictures by" in page
    summary, _ = summary_of(done.stdout, tmp_path)
    [last] = [
        one
        for one in summary["parts"]
        if (one["part"], one["what"]) == ("sft", "success, last picture")
    ]
    assert (last["value"], last["n"], summary["held_out"]) == (0.0, 20, 20)
    _, logged = only_run(tmp_path, "build_miniworld")
    assert (logged.info.status, logged.data.metrics["sft/success-last-picture"]) == ("FINISHED", 0)
