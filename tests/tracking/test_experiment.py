"""The command line of an experiment: which folder a run gets, and how it ends."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from genagent_tracking import Flat, Run, RunConfig, refuse, run_experiment


@dataclass(frozen=True, kw_only=True)
class Config:
    run: Flat[RunConfig] = field(default_factory=RunConfig)
    rate: float = 0.1


def launch(tmp_path: Path, main, *arguments: str) -> None:
    presets = {"plain": Config(run=RunConfig(runs=tmp_path / "runs"))}
    run_experiment("job", main, Config, presets, arguments=arguments)


def test_resume_goes_on_in_the_latest_unfinished_folder_of_the_same_configuration(tmp_path):
    folders: list[Path] = []

    def main(config: Config, run: Run) -> None:
        folders.append(run.folder)

    for arguments in ([], [], ["--seed", "1"], ["--resume"], ["--resume", "--seed", "1"]):
        launch(tmp_path, main, *arguments)
    first, second, other, resumed, resumed_other = folders
    assert len({first, second, other}) == 3
    assert (resumed, resumed_other) == (second, other)


def test_a_run_that_has_finished_is_none_to_go_on_with(tmp_path, capsys):
    folders: list[Path] = []

    def main(config: Config, run: Run) -> None:
        folders.append(run.folder)
        (run.folder / "summary.json").write_text("{}")

    for _ in range(2):
        launch(tmp_path, main, "--resume")
    assert folders[0] != folders[1]
    assert capsys.readouterr().out.count("nothing to go on with") == 2
    # Stopped and not finished: its state is there still.
    (folders[0] / "state").mkdir()
    launch(tmp_path, main, "--resume")
    assert folders[2] == folders[0]


def test_options_of_a_flat_part_have_no_prefix(tmp_path):
    seen: list[Config] = []
    launch(tmp_path, lambda config, run: seen.append(config), "--seed", "4", "--rate", "0.5")
    assert (seen[0].run.seed, seen[0].rate) == (4, 0.5)


@pytest.mark.parametrize(
    ("error", "begun", "code"),
    [
        (ValueError("bad value"), False, 2),
        (OSError("no such file"), False, 2),
        (ValueError("bad value"), True, 1),
        (RuntimeError("it broke"), True, 1),
        (OSError("disk full"), True, 1),
        (KeyboardInterrupt(), False, 130),
    ],
)
def test_the_exit_code_tells_bad_input_from_failure_by_when_it_came(
    tmp_path, capsys, error, begun, code
):
    def main(config: Config, run: Run) -> None:
        run.has_begun = begun
        raise error

    with pytest.raises(SystemExit) as ended:
        launch(tmp_path, main)
    assert ended.value.code == code
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and str(error) in lines[0]


def test_each_problem_is_a_line_of_its_own_and_leaves_no_folder(tmp_path, capsys):
    def main(config: Config, run: Run) -> None:
        refuse(["--policy is missing", "no tool\n'x'"])

    with pytest.raises(SystemExit) as ended:
        launch(tmp_path, main)
    assert ended.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines == ["error: --policy is missing", "error: no tool 'x'"]
    assert not (tmp_path / "runs").exists()
    refuse([])


def test_a_run_starts_again_from_its_own_configuration(tmp_path):
    seen: list[tuple[Config, Path]] = []

    def main(config: Config, run: Run) -> None:
        seen.append((config, run.folder))

    launch(tmp_path, main, "--rate", "0.25", "--seed", "9")
    launch(tmp_path, main, str(seen[0][1] / "config.json"))
    assert seen[0][0] == seen[1][0]
    assert seen[0][1] != seen[1][1]
