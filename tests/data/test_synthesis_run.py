"""Going on, repeating, and what a full disk or a service that is down leaves behind."""

import errno
import threading
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from tests.data.synthesis_cast import (
    CONFIG,
    NumberJudge,
    NumberTool,
    Script,
    ask,
    call,
    files,
    services,
)
from tests.small_disk import small_disk

from genagent_data import RecordFolder, synthesize
from genagent_data.synthesis import chunks
from genagent_data.synthesis.chunks import Chunks
from genagent_data.synthesis.draft import Draft
from genagent_rewards import KeptAnswers
from genagent_tools import ToolError

REQUESTS = [
    ask(f"r{n}", plain=250 if n % 4 == 0 else 10, task=("a", "b")[n % 2]) for n in range(30)
]
LINES = {f"r{n}": [call(230)] for n in range(0, 30, 3)}


def test_two_runs_write_the_same_bytes_however_many_work_at_a_time(tmp_path):
    made = []
    for workers in (1, 4):
        folder = tmp_path / str(workers)
        config = replace(CONFIG, workers=workers)
        synthesize(REQUESTS, services(), Script(**LINES), config, folder)
        made.append(files(folder))
    assert made[0] == made[1]
    assert len(RecordFolder(tmp_path / "1")) > 10


def test_another_seed_draws_other_pictures(tmp_path):
    for seed in (0, 1):
        synthesize(REQUESTS, services(), Script(), CONFIG, tmp_path / str(seed), seed=seed)
    assert files(tmp_path / "0") != files(tmp_path / "1")


@pytest.mark.parametrize("allowed", [0, 3, 11, 26])
def test_a_full_disk_ends_it_with_one_line_and_nothing_paid_is_lost(tmp_path, monkeypatch, allowed):
    whole = tmp_path / "whole"
    synthesize(REQUESTS, services(), Script(**LINES), CONFIG, whole)

    tool, script, write, left = NumberTool(), Script(**LINES), chunks.write_jsonl, [allowed]

    def full(path, rows):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, rows)

    folder = tmp_path / "full"
    monkeypatch.setattr(chunks, "write_jsonl", full)
    with pytest.raises(OSError, match="No space left on device"):
        synthesize(REQUESTS, services(tool), script, CONFIG, folder)
    assert not list(folder.rglob("*.partial"))
    monkeypatch.setattr(chunks, "write_jsonl", write)
    synthesize(REQUESTS, services(tool), script, CONFIG, folder)
    assert files(folder) == files(whole)
    assert max(Counter(tool.drawn).values()) == 1


def test_on_a_disk_that_is_full_again_and_again_it_goes_on_each_time(tmp_path):
    whole = tmp_path / "whole"
    synthesize(REQUESTS, services(), Script(**LINES), CONFIG, whole)

    tool, ends = NumberTool(), 0
    with small_disk(tmp_path / "disk", 64) as enlarge:
        folder = tmp_path / "disk" / "made"
        for room in range(128, 1024, 64):
            with pytest.raises(OSError, match=r"No space left on device|is full$") as full:
                synthesize(REQUESTS, services(tool), Script(**LINES), CONFIG, folder)
            assert "\n" not in str(full.value)
            ends += 1
            enlarge(room)
            if len(list(folder.glob("work/stages/7-close/*.figures.json"))) == 8:
                break
        enlarge(16384)
        funnel = synthesize(REQUESTS, services(tool), Script(**LINES), CONFIG, folder)
        assert files(folder) == files(whole)
    drawn = Counter(tool.drawn)
    assert funnel.calls["tool"] <= sum(drawn.values())
    # What is drawn when there is no room for it is lost: a batch of each stage that draws.
    assert sum(drawn.values()) - len(drawn) <= ends * CONFIG.batch * 3


def test_what_is_done_is_not_done_again(tmp_path):
    tool, script = NumberTool(), Script(**LINES)
    first = synthesize(REQUESTS, services(tool), script, CONFIG, tmp_path)
    made, drawn, asked = files(tmp_path), len(tool.drawn), len(script.asked)
    again = synthesize(REQUESTS, services(tool), script, CONFIG, tmp_path)
    assert (files(tmp_path), len(tool.drawn), len(script.asked)) == (made, drawn, asked)
    assert again.metrics().keys() == first.metrics().keys()
    assert (again.records, again.requests) == (first.records, first.requests)
    assert drawn == first.calls["tool"] and asked == first.calls["teacher"]


def test_other_settings_or_requests_are_refused_by_name(tmp_path):
    synthesize(REQUESTS, services(), Script(), CONFIG, tmp_path)
    with pytest.raises(ValueError, match="was begun with plain '3', now it is '2'"):
        synthesize(REQUESTS, services(), Script(), replace(CONFIG, plain=2), tmp_path)
    with pytest.raises(ValueError, match="chunk 1 was begun with other requests"):
        changed = [*REQUESTS[:5], ask("new"), *REQUESTS[6:]]
        synthesize(changed, services(), Script(), CONFIG, tmp_path)


def test_servers_that_come_to_say_what_they_draw_with_draw_nothing_again(tmp_path):
    tool = NumberTool()
    synthesize(REQUESTS, services(tool), Script(), CONFIG, tmp_path)
    drawn = len(tool.drawn)
    says = replace(services(tool), tool_name="numbers flux 8 steps")
    synthesize(REQUESTS, says, Script(), CONFIG, tmp_path)
    assert len(tool.drawn) == drawn
    with pytest.raises(ValueError, match="begun with tool 'numbers', now it is 'letters"):
        synthesize(REQUESTS, replace(says, tool_name="letters flux"), Script(), CONFIG, tmp_path)


class Outage(NumberTool):
    """A tool that is down after so many calls, for as long as it is asked so often."""

    def __init__(self, calls: int, down: int = 10**6) -> None:
        super().__init__()
        self.calls = calls
        self.down = down

    def generate(self, prompts, seeds):
        self.calls -= 1
        if -self.down <= self.calls < 0:
            raise ToolError("nobody answers")
        return super().generate(prompts, seeds)


def test_a_service_that_is_down_is_no_fault_of_the_requests(tmp_path):
    config = replace(CONFIG, chunk=8, batch=8)
    tool = Outage(calls=3)
    with pytest.raises(ConnectionError, match=r"tool_failed for 8 of 8 in .*nobody answers"):
        synthesize([ask(f"r{n}") for n in range(16)], services(tool), Script(), config, tmp_path)
    tool.calls = 10**6
    funnel = synthesize(
        [ask(f"r{n}") for n in range(16)], services(tool), Script(), config, tmp_path
    )
    assert funnel.records == 16
    assert max(Counter(tool.drawn).values()) == 1


@pytest.mark.parametrize(("answered", "ends"), [(8, True), (9, False)])
def test_half_of_a_chunk_lost_is_a_service_gone_down_under_way(tmp_path, answered, ends):
    config = replace(CONFIG, plain=1, chunk=16, batch=1)
    requests = [ask(f"r{n}") for n in range(16)]
    expected = pytest.raises(ConnectionError, match="8 of 16") if ends else nullcontext()
    tool = Outage(calls=16 + answered, down=16 - answered)
    with expected:
        synthesize(requests, services(tool), Script(), config, tmp_path)
    tool.calls = 10**6
    funnel = synthesize(requests, services(tool), Script(), config, tmp_path)
    assert funnel.records == (16 if ends else 9)


def test_small_chunks_that_are_lost_one_after_another_are_an_outage_too(tmp_path):
    config = replace(CONFIG, plain=1)
    requests = [ask(f"r{n}") for n in range(24)]

    class DownForRequests(NumberTool):
        is_down = True

        def generate(self, prompts, seeds):
            if (
                self.is_down
                and prompts[0].startswith("request")
                and "request r0 " not in prompts[0]
            ):
                raise ToolError("nobody answers")
            return super().generate(prompts, seeds)

    tool = DownForRequests()
    said = "tool_failed for 4 of 4 in a chunk and the 4 before them .*nobody answers"
    with pytest.raises(ConnectionError, match=said):
        synthesize(requests, services(tool), Script(), config, tmp_path)
    tool.is_down = False
    # Those of the first lost chunk are written down as lost; no others.
    assert synthesize(requests, services(tool), Script(), config, tmp_path).records == 20


def test_what_a_chunk_names_is_on_the_disk_before_it(tmp_path, monkeypatch):
    """A machine that goes down keeps what was synced, and fates are."""
    synced: list[Path] = []

    def sync(path: Path) -> None:
        assert path.exists()
        synced.append(path)

    for name in ("sync_file", "sync_folder"):
        monkeypatch.setattr(f"genagent_data.pictures.{name}", sync)
    written = Chunks.write

    def write(self, stage, chunk, fates, figures):
        named = {name for fate in fates if isinstance(fate, Draft) for name in fate.pictures}
        assert named <= {path.stem for path in synced}
        work = tmp_path / "work"
        folders = {work, work / "drawn", *(work / "drawn" / name[:2] for name in named)}
        assert not named or folders <= set(synced)
        written(self, stage, chunk, fates, figures)

    monkeypatch.setattr(Chunks, "write", write)
    synthesize(REQUESTS, services(), Script(), CONFIG, tmp_path)
    assert synced


def test_pictures_are_kept_before_the_chunk_is(tmp_path):
    class Dying(NumberJudge):
        def judge(self, questions):
            raise OSError("killed")

    tool = NumberTool()
    with pytest.raises(OSError, match="killed"):
        synthesize(REQUESTS[:4], services(tool, Dying()), Script(), CONFIG, tmp_path)
    synthesize(REQUESTS[:4], services(tool), Script(), CONFIG, tmp_path)
    assert max(Counter(tool.drawn).values()) == 1


def test_a_damaged_or_foreign_file_of_answers_is_named(tmp_path):
    path = tmp_path / "work" / "answers.sqlite"
    path.parent.mkdir()
    path.write_bytes(b"no database, though long enough for a header of one" * 20)
    with pytest.raises(ValueError, match=r"answers\.sqlite is damaged"):
        KeptAnswers(path)


def test_progress_ends_at_the_funnel_that_is_returned(tmp_path):
    heard = []
    funnel = synthesize(REQUESTS, services(), Script(), CONFIG, tmp_path, progress=heard.append)
    assert heard[-1].stages == funnel.stages
    assert [figures.name for figures in funnel.stages] == [
        *("requests", "hard", "open", "draw", "judge", "reflect", "redraw", "close", "balance")
    ]
    assert abs(sum(funnel.shares.values()) - 1) < 1e-9
    card = (tmp_path / "README.md").read_text()
    assert "solved_plainly" in card and "- **teacher**: script" in card
    said = f"0 of {funnel.records} records end without an answer, 3 short of their share: a 1, b 2."
    assert f"\n{said}\n" in card
    assert (tmp_path / "funnel.png").read_bytes()[:4] == b"\x89PNG"


def test_models_in_this_process_are_called_from_one_thread_each(tmp_path):
    threads = {"tool": set(), "judge": set()}

    class Tool(NumberTool):
        def generate(self, prompts, seeds):
            threads["tool"].add(threading.get_ident())
            return super().generate(prompts, seeds)

    class Judge(NumberJudge):
        def judge(self, questions):
            threads["judge"].add(threading.get_ident())
            return super().judge(questions)

        def compare(self, questions):
            threads["judge"].add(threading.get_ident())
            return super().compare(questions)

    config, script = replace(CONFIG, workers=4), Script(**LINES)
    synthesize(REQUESTS, services(Tool(), Judge()), script, config, tmp_path / "alone")
    assert [len(idents) for idents in threads.values()] == [1, 1]
    at_once = replace(services(Tool(), Judge()), at_once=True)
    synthesize(REQUESTS, at_once, script, config, tmp_path / "at-once")
    assert len(threads["judge"]) > 2
