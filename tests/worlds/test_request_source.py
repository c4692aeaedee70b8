"""What a synthesis asks: a world's requests or those of files, and under which names it is kept."""

from pathlib import Path

import pytest
from tests.picture_server import answering, tool_for

from genagent_data import PoolConfig, Request
from genagent_worlds import ChatTeachers, FilesAndEndpoints, Judges, RequestSource, World


class Numbered:
    """Requests by step and place."""

    def sample(self, n: int, *, seed: int, step: int = 0) -> list[Request]:
        return [Request(id=f"{seed}-{step}-{place}", prompt="p") for place in range(n)]


def ids(source: RequestSource, folder: Path) -> list[str]:
    asked = source.ask(Numbered(), ChatTeachers(), folder, seed=3)
    found = [request.id for request in asked.requests]
    assert asked.count == len(found)
    return found


def test_more_requests_of_a_world_begin_with_the_same_ones(tmp_path):
    few, many = (ids(RequestSource(requests=str(n)), tmp_path) for n in (500, 600))
    assert many[:500] == few
    assert (many[0], many[512], many[-1]) == ("3-0-0", "3-1-0", "3-1-87")


def test_files_are_pooled_and_a_number_is_their_limit(tmp_path):
    mine, more = tmp_path / "mine.txt", tmp_path / "more.txt"
    mine.write_text("a red circle\ntwo green dogs on a lawn\na red circle\n")
    more.write_text("a blue house\nTwo green dogs on a lawn!\n")
    pool = PoolConfig(files=(more,))
    assert len(ids(RequestSource(requests=str(mine), pool=pool), tmp_path)) == 3
    assert len(ids(RequestSource(requests="1", pool=pool), tmp_path)) == 1
    asked = RequestSource(requests=str(mine)).ask(Numbered(), ChatTeachers(), tmp_path, seed=0)
    assert asked.pool is not None and asked.pool.drops == {"duplicate": 1}
    assert asked.sources == str(mine)


def test_a_world_of_files_needs_no_file_of_held_out_requests():
    world = RequestSource(requests="mine.jsonl").within(FilesAndEndpoints())
    assert (world.train, world.held_out) == (Path("mine.jsonl"), Path("mine.jsonl"))
    own = FilesAndEndpoints(train=Path("train.txt"))
    assert RequestSource().within(own).held_out == Path("train.txt")
    held = FilesAndEndpoints(held_out=Path("held.txt"))
    assert RequestSource(requests="mine.jsonl").within(held).held_out == Path("held.txt")


def test_new_requests_want_examples_and_someone_to_write_them(tmp_path):
    line = "--hard-each wants a file of requests with hints, and teachers that write"
    assert line in RequestSource(hard_each=2).problems(ChatTeachers())
    mine = tmp_path / "mine.txt"
    mine.write_text("a red circle\n")
    assert RequestSource(requests=str(mine), hard_each=2).problems(ChatTeachers()) == []
    with pytest.raises(ValueError, match="requests is 0; wants 1 or more"):
        RequestSource(requests="0")
    with pytest.raises(ValueError, match="hard_each is -1; wants 0 or more"):
        RequestSource(hard_each=-1)


@pytest.mark.parametrize(
    ("service", "model", "name"),
    [("http://gpu1:8000", "", "served"), ("http://gpu1:8000", "flux", "flux"), ("own", "", "own")],
)
def test_what_was_drawn_is_kept_by_the_model_and_not_by_the_server(service, model, name):
    config = FilesAndEndpoints(tool=service, tool_model=model, judge="own")
    judges = Judges(point=None, pair=None, at_once=True)  # pyright: ignore[reportArgumentType]
    world = World(train=Numbered(), held_out=(), tool=None, words=7, judges=judges)  # pyright: ignore[reportArgumentType]
    services = config.for_synthesis(world)
    assert (services.tool_name, services.judge_name) == (name, "own")
    assert (services.words, services.at_once) == (7, True)


def test_pictures_of_a_synthesis_are_kept_by_what_its_servers_say_that_they_draw_with():
    def named(steps: int, **options: str) -> str:
        models = [{"id": "flux", "defaults": {"num_inference_steps": steps}}]
        with answering(models=models) as server, tool_for(server) as tool:
            config = FilesAndEndpoints(tool=server.url, judge="own", **options)  # pyright: ignore[reportArgumentType]
            judges = Judges(point=None, pair=None)  # pyright: ignore[reportArgumentType]
            world = World(train=Numbered(), held_out=(), tool=tool, judges=judges)
            return config.for_synthesis(world).tool_name

    assert named(8) == named(8) == 'served flux {"num_inference_steps": 8}'
    assert named(4, tool_model="flux") == 'flux flux {"num_inference_steps": 4}'


def test_verdicts_are_kept_by_the_judge_and_by_what_changes_its_words():
    def name(**options: str) -> str:
        options = {"judge": "http://gpu1:8000/v1", "judge_model": "qwen"} | options
        return FilesAndEndpoints(**options).judge_name  # pyright: ignore[reportArgumentType]

    thinking = name(judge_body='{"chat_template_kwargs": {"enable_thinking": true}}')
    assert name() == name(judge="http://gpu2:8000/v1") == "qwen"
    assert thinking.startswith("qwen#")
    assert thinking != name(judge_body='{"chat_template_kwargs": {"enable_thinking": false}}')
    # A preset names the model that endpoints would serve; a folder is another judge.
    assert name(judge="/models/mine") == "/models/mine"
