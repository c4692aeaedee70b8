"""The command line of an experiment: which folder a run gets, and how it ends."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from genagent_tracking import run_experiment


@dataclass(frozen=True, kw_only=True)
class Config:
    runs: Path
    seed: int = 0


def start(tmp_path: Path, main, *arguments: str) -> None:
    presets = {"plain": Config(runs=tmp_path / "runs")}
    run_experiment(
        "job", main, Config, presets, folder=lambda config: config.runs, arguments=arguments
    )


def stopped(config: Config, run_folder: Path) -> None:
    """Leaves a state behind, as a run that was killed."""
    (run_folder / "state").mkdir(exist_ok=True)


def test_resume_goes_on_in_the_latest_unfinished_folder_of_the_same_configuration(tmp_path):
    folders: list[Path] = []

    def main(config: Config, run_folder: Path) -> None:
        stopped(config, run_folder)
        folders.append(run_folder)

    for arguments in ([], [], ["--seed", "1"], ["--resume"], ["--resume", "--seed", "1"]):
        start(tmp_path, main, *arguments)
    first, second, other, resumed, resumed_other = folders
    assert len({first, second, other}) == 3
    assert (resumed, resumed_other) == (second, other)


def test_resume_starts_afresh_where_there_is_nothing_to_go_on_with(tmp_path, capsys):
    folders: list[Path] = []
    for _ in range(2):
        start(tmp_path, lambda config, folder: folders.append(folder), "--resume")
    assert folders[0] != folders[1]
    assert capsys.readouterr().out.count("nothing to go on with") == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [(ValueError("bad value"), 2), (RuntimeError("it broke"), 1), (OSError("disk full"), 1)],
)
def test_the_exit_code_tells_bad_input_from_failure(tmp_path, capsys, error, code):
    def main(config: Config, run_folder: Path) -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        start(tmp_path, main)
    assert ended.value.code == code
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and str(error) in lines[0]
