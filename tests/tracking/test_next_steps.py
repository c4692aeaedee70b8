"""The lines that a run ends with: they can be copied, and 80 columns do."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from genagent_tracking.next_steps import ask_lines, mlflow_lines, trial_line

RUN = "0123456789abcdef0123456789abcdef"
POLICY = Path("runs/rl_flux-20261129-061212/policy")


@dataclass
class Recorded:
    uri: str
    ui_command: str = "uv run mlflow ui"
    experiment_id: str = "12"
    run_id: str = RUN


def test_the_link_is_to_this_very_run_and_fits() -> None:
    lines = mlflow_lines(Recorded("sqlite:///mlflow.db"))
    assert lines == [
        "uv run mlflow ui    # then this run and all are at",
        f"http://127.0.0.1:5000/#/experiments/12/runs/{RUN}",
        "http://127.0.0.1:5000/#/experiments/12/runs?viewStateShareKey=results",
    ]
    assert max(len(line) for line in lines) + 2 <= 80


def test_a_store_elsewhere_is_named_in_the_command() -> None:
    command = "uv run mlflow ui --backend-store-uri sqlite:////data/mlflow.db"
    first, *_ = mlflow_lines(Recorded("sqlite:////data/mlflow.db", command))
    assert first.startswith(command)


def test_a_server_is_linked_without_its_password() -> None:
    found = mlflow_lines(Recorded("https://me:secret@mlflow.lab/"))
    assert found[0] == f"https://mlflow.lab/#/experiments/12/runs/{RUN}"
    assert not any("secret" in line for line in found)


def test_the_command_that_asks_goes_on_in_a_second_line_and_a_shell_reads_one() -> None:
    lines = ask_lines(POLICY, "someone's clock", ("flux-7b", "--world.tool", "http://gpu1:8000"))
    assert lines[0].endswith("\\")
    assert shlex.split("\n".join(lines).replace("\\\n", "")) == [
        *("uv", "run", "experiments/generate.py", "flux-7b", "someone's clock"),
        *("--policy", str(POLICY), "--world.tool", "http://gpu1:8000"),
    ]


def test_options_without_a_preset_come_after_the_policy() -> None:
    [line] = ask_lines(Path("p"), "a red circle", ("--world.tool", "x"))
    assert line == "uv run experiments/generate.py 'a red circle' --policy p --world.tool x"


def test_a_trial_says_that_it_proves_nothing() -> None:
    assert trial_line("rl_flux", 2) == (
        "it works; 2 steps prove nothing; next: uv run experiments/rl_flux.py"
    )
    assert "so few requests prove nothing" in trial_line("evaluate")
