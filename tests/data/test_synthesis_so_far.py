"""What a synthesis has come to is counted out of its folder, whether it has ended or not."""

from pathlib import Path

from tests.data.synthesis_cast import CONFIG, NumberJudge, NumberTool, Script, ask, call

from genagent_data import Funnel, SynthesisServices, funnel_so_far, synthesize
from genagent_data.synthesis import Judgement

REQUESTS = [
    *(ask(f"easy{number}", plain=250) for number in range(3)),
    *(ask(f"hard{number}") for number in range(5)),
]
SCRIPT = {
    "hard0": [call(250), Judgement(words="as asked", right=True)],
    "hard4": [call(250), Judgement(words="not as asked", right=False)],
}


def made(folder: Path) -> Funnel:
    judge = NumberJudge()
    services = SynthesisServices(
        tool=NumberTool(), tool_name="numbers", point=judge, pair=judge, judge_name="numbers"
    )
    return synthesize(REQUESTS, services, Script(**SCRIPT), CONFIG, folder)


def counts(funnel: Funnel | None) -> list[tuple[str, int, dict[str, int], dict[str, int]]]:
    assert funnel is not None
    return [(s.name, s.kept, dict(s.drops), dict(s.calls)) for s in funnel.stages]


def test_a_folder_holds_the_figures_of_its_synthesis(tmp_path: Path):
    funnel = made(tmp_path)
    assert [stage.kept for stage in funnel.stages] == [8, 5, 5, 5, 4, 4, 4, 4, 4]
    assert counts(funnel_so_far(tmp_path, CONFIG)) == counts(funnel)


def test_chunks_on_their_way_are_not_counted(tmp_path: Path):
    made(tmp_path)
    last = tmp_path / "work" / "stages" / "7-close"
    (last / "000000.figures.json").unlink()
    found = funnel_so_far(tmp_path, CONFIG)
    assert found is not None and found.requests == 4
    assert found.stages[1].drops == {} and found.stages[4].drops == {"contradiction": 1}
    (last / "000001.figures.json").unlink()
    assert funnel_so_far(tmp_path, CONFIG) is None


def test_nothing_is_there_and_nothing_is_made(tmp_path: Path):
    assert funnel_so_far(tmp_path / "none", CONFIG) is None
    assert list(tmp_path.iterdir()) == []
