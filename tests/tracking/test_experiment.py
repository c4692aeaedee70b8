"""The command line of an experiment: which folder a run gets, and how it ends."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from genagent_tracking import Flat, Run, RunConfig, refuse, run_experiment
from genagent_tracking.experiment import plan_words


@dataclass(frozen=True, kw_only=True)
class Config:
    run: Flat[RunConfig] = field(default_factory=RunConfig)
    rate: float = 0.1
    steps: int = 3


def launch(tmp_path: Path, main, *arguments: str, check=None) -> None:
    presets = {"plain": Config(run=RunConfig(runs=tmp_path / "runs"))}
    run_experiment("job", main, Config, presets, check=check, arguments=arguments)


def finish(run: Run, steps: int) -> None:
    summary = {"status": "finished", "steps": steps}
    (run.folder / "summary.json").write_text(json.dumps(summary))


def test_resume_goes_on_with_the_latest_run_of_the_same_options(tmp_path, capsys):
    folders: list[Path] = []

    def main(config: Config, run: Run) -> None:
        folders.append(run.folder)
        run.close()

    for arguments in ([], [], ["--seed", "1"], ["--resume"], ["--resume", "--seed", "1"]):
        launch(tmp_path, main, *arguments)
    first, second, other, resumed, resumed_other = folders
    assert len({first, second, other}) == 3
    assert (resumed, resumed_other) == (second, other)
    assert capsys.readouterr().out.count("going on with") == 2


def test_options_are_checked_and_nothing_is_run(tmp_path, capsys):
    def main(config: Config, run: Run) -> None:
        raise AssertionError("it ran")

    launch(tmp_path, main, "--rate", "0.5", "--check")
    assert capsys.readouterr().out == "all options are valid; nothing was run\n"
    for wrong in (["--rates", "0.5"], ["--rate", "half"]):
        with pytest.raises(SystemExit) as ended:
            launch(tmp_path, main, "--check", *wrong)
        assert ended.value.code == 2
    assert not (tmp_path / "runs").exists()


def test_a_check_says_what_else_is_wrong_with_a_line_each(tmp_path, capsys):
    def main(config: Config, run: Run) -> None:
        raise AssertionError("it ran")

    def check(config: Config) -> list[str]:
        return [f"rate is {config.rate}", "nor is the file there"] if config.rate > 0.1 else []

    launch(tmp_path, main, "--rate", "0.1", "--check", check=check)
    with pytest.raises(SystemExit) as ended:
        launch(tmp_path, main, "--rate", "0.5", "--check", check=check)
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == (
        "all options are valid and the files that they name can be used; nothing was run\n"
    )
    assert said.err == "error: rate is 0.5\nerror: nor is the file there\n"
    assert not (tmp_path / "runs").exists()


def test_resume_with_another_option_names_it_and_starts_nothing(tmp_path, capsys):
    def main(config: Config, run: Run) -> None:
        _ = run.folder
        run.close()

    launch(tmp_path, main, "--rate", "0.5")
    with pytest.raises(SystemExit) as ended:
        launch(tmp_path, main, "--rate", "0.25", "--resume")
    assert ended.value.code == 2
    assert "differs in rate (0.5, now 0.25)" in " ".join(capsys.readouterr().err.split())
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_a_finished_run_goes_on_for_more_steps_only(tmp_path, capsys):
    folders: list[Path] = []

    def main(config: Config, run: Run) -> None:
        folders.append(run.folder)
        finish(run, config.steps)
        run.close()

    launch(tmp_path, main, "--resume", "--steps", "4")
    assert "nothing to go on with" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        launch(tmp_path, main, "--resume", "--steps", "4")
    assert ended.value.code == 0
    assert capsys.readouterr().out.strip().endswith("summary.json")
    launch(tmp_path, main, "--resume", "--steps", "6")
    assert folders == [folders[0]] * 2
    assert json.loads((folders[0] / "config.json").read_text())["steps"] == 6
    # Another option of a run that has finished is another run.
    launch(tmp_path, main, "--resume", "--steps", "6", "--rate", "0.3")
    assert folders[2] != folders[0]


@dataclass(frozen=True, kw_only=True)
class Folder:
    """Of an experiment without steps, whose work goes on by itself."""

    run: Flat[RunConfig] = field(default_factory=RunConfig)
    out: str = "out"


def test_work_that_goes_on_by_itself_does_so_in_the_run_it_was_begun_in(tmp_path, capsys):
    folders: list[Path] = []

    def main(config: Folder, run: Run) -> None:
        folders.append(run.folder)
        if len(folders) > 1:
            finish(run, 0)
        run.close()

    def again(*arguments: str) -> Path:
        presets = {"plain": Folder(run=RunConfig(runs=tmp_path / "runs"))}
        run_experiment("job", main, Folder, presets, keeps_its_work=True, arguments=arguments)
        return folders[-1]

    begun = again()
    assert [again(), again()] == [begun] * 2  # unfinished, and finished
    assert capsys.readouterr().out.count("going on with") == 2
    other = again("--out", "other")
    assert other != begun and again() == begun and again("--out", "other") == other
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        again("--resume")
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "has finished" in said and "steps" not in said


def test_a_run_that_is_still_running_is_left_alone(tmp_path, capsys):
    folders: list[Path] = []

    def main(config: Config, run: Run) -> None:
        folders.append(run.folder)
        with pytest.raises(SystemExit) as ended:
            launch(tmp_path, lambda config, other: print(other.folder), "--resume")
        assert ended.value.code == 2

    launch(tmp_path, main)
    assert "is still running" in capsys.readouterr().err


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


def test_a_damaged_configuration_or_summary_is_one_line_with_its_name(tmp_path, capsys):
    def main(config: Config, run: Run) -> None:
        _ = run.folder
        run.close()

    launch(tmp_path, main)
    [folder] = (tmp_path / "runs").iterdir()
    path = tmp_path / "given.json"
    given = [
        (path, b"[" * 99999, [str(path)], "nested too deep"),
        (path, b"\xff\xfe", [str(path)], "can't decode byte 0xff"),
        (folder / "summary.json", b"{", ["--resume"], "is no summary"),
        (folder / "summary.json", b"[]", ["--resume"], "is no summary"),
        (folder / "summary.json", b"[" * 99999, ["--resume"], "is no summary"),
    ]
    for file, content, words, message in given:
        file.write_bytes(content)
        with pytest.raises(SystemExit) as ended:
            launch(tmp_path, main, *words)
        assert ended.value.code == 2
        [line] = capsys.readouterr().err.strip().splitlines()
        assert str(file) in line and message in line
    (folder / "summary.json").unlink()
    # A damaged configuration is that of no run.
    (folder / "config.json").write_bytes(b"[" * 99999)
    launch(tmp_path, main, "--resume")
    assert "nothing to go on with" in capsys.readouterr().out


def test_another_number_of_states_goes_on_with_the_same_run(tmp_path):
    folders: list[Path] = []

    def main(config: Config, run: Run) -> None:
        folders.append(run.folder)
        run.close()

    launch(tmp_path, main)
    launch(tmp_path, main, "--resume", "--keep-checkpoints", "5")
    assert folders == [folders[0]] * 2


@pytest.mark.parametrize(
    ("given", "of_run", "of_plan"),
    [
        (["--steps", "3"], ["--steps", "3"], None),
        (["x", "--plan"], ["x"], []),
        (["--plan", "--plan.gpus", "8", "--steps", "3"], ["--steps", "3"], ["--gpus", "8"]),
        (["--plan.gpus=8", "--steps=3"], ["--steps=3"], ["--gpus=8"]),
        (["--plan", "--help"], [], ["--help"]),
        (["--planet", "3"], ["--planet", "3"], None),
    ],
)
def test_words_of_the_plan_are_told_from_those_of_the_run(given, of_run, of_plan):
    assert plan_words(given) == (of_run, of_plan)


def test_a_plan_runs_nothing_and_refuses_in_one_line(tmp_path, capsys):
    asked: list[tuple[int, list[str]]] = []

    def plan(config: Config, words) -> None:
        asked.append((config.steps, list(words)))
        if "--no" in words:
            raise ValueError("it does not fit")

    def never(config: Config, run: Run) -> None:
        pytest.fail("it ran")

    def launch_plan(*arguments: str) -> None:
        presets = {"plain": Config(run=RunConfig(runs=tmp_path / "runs"))}
        run_experiment("job", never, Config, presets, plan=plan, arguments=arguments)

    launch_plan("--plan", "--plan.gpus", "8", "--steps", "7")
    assert asked == [(7, ["--gpus", "8"])]
    with pytest.raises(SystemExit) as ended:
        launch_plan("--plan", "--plan.no")
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: it does not fit\n"
    assert not (tmp_path / "runs").exists()
