"""Pictures scored by a benchmark's question over real HTTP, and by a judge's yes and no."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import pytest
from PIL import Image
from tests.judge_server import Answer, chat_for, pictures_in, refused_url, serving, words_in
from tests.worlds.benchmark_files import TAGS, geneval_rows, imagine_rows, write_lines
from tests.worlds.builders import BLUE, GRAY, RED, ByColor

from genagent_data import Request
from genagent_rewards import ChatModel, KeptAnswers, KeptChat, OpenAIChat, OpenAIChatConfig, Picture
from genagent_worlds import (
    Benchmark,
    BenchmarkConfig,
    FilesAndEndpoints,
    Result,
    Score,
    ScoredByJudge,
    ScoredByQuestion,
    ScoresPictures,
    load_benchmark,
    score_pictures,
)
from genagent_worlds.benchmarks import scoring

RIGHT = Score(value=1.0, passed=True, parts={"correct": 1.0}, reason="all there")
WRONG = Score(value=0.0, passed=False, parts={"correct": 0.0}, reason="no mug")
Items = list[tuple[Request, Picture]]


@pytest.fixture
def geneval(tmp_path: Path) -> Benchmark:
    return load_benchmark("geneval++", write_lines(tmp_path / "rows.jsonl", geneval_rows()))


def items(benchmark: Benchmark) -> Items:
    """A picture of its own for each request."""
    return [
        (request, Picture.of(Image.new("RGB", (16, 16), (40 * place, 0, 0))))
        for place, request in enumerate(benchmark.requests)
    ]


def by_tag(**answers: Answer) -> Callable[[dict, int], Answer]:
    """An answer by a word of the prompt; right without one."""

    def script(body: dict, number: int) -> Answer:
        words = words_in(body)
        found = [answer for tag, answer in answers.items() if tag in words]
        return found[0] if found else Answer(words='{"correct": 1, "reason": "all there"}')

    return script


def test_each_picture_is_asked_about_with_its_request_as_the_official_script_does(geneval):
    with serving(by_tag(counting=Answer(words='{"correct": 0, "reason": "no mug"}'))) as server:
        chat = OpenAIChat(
            geneval.settings.applied(OpenAIChatConfig(base_urls=(server.url,), model="eyes"))
        )
        results = score_pictures(geneval, chat, items(geneval))
    assert results == [RIGHT, WRONG, *[RIGHT] * 5]
    for body in server.requests:
        assert (body["temperature"], body["max_tokens"], body["model"]) == (0.0, 200, "eyes")
    asked = {words_in(body): pictures_in(body)[0].getpixel((8, 8)) for body in server.requests}
    for place, request in enumerate(geneval.requests):
        [pixel] = [pixel for words, pixel in asked.items() if request.prompt in words]
        assert isinstance(pixel, tuple) and abs(pixel[0] - 40 * place) <= 2  # JPEG


def test_what_was_said_and_cannot_be_read_is_told_from_what_was_not_said(geneval):
    heard: dict[int, Result] = {}
    script = by_tag(
        counting=Answer(words="5 out of 5"),
        color_spatial_attr=Answer(status=400, words="too long"),
        spatial_count_attr=Answer(words='{"correct": 1', finish="length"),
    )
    with serving(script) as server:
        results = score_pictures(
            geneval, chat_for(server.url), items(geneval), arrived=heard.__setitem__
        )
    assert results == [RIGHT, "unparsed", RIGHT, "failed", "unparsed", RIGHT, RIGHT]
    assert heard == dict(enumerate(results))
    # Three attempts at each that could not be read.
    assert len(server.requests) == 6 + 2 * 3 - 1
    row = geneval.table(dict(zip("1234567", results, strict=True))).rows[-1]
    assert (row.value, row.unparsed, row.failed, row.missing) == (pytest.approx(4 / 7), 2, 1, 0)


def test_a_reply_that_cannot_be_read_is_asked_for_again(geneval):
    asked = Counter[bool]()

    def script(body: dict, number: int) -> Answer:
        is_counting = "counting" in words_in(body)
        asked[is_counting] += 1
        good = not is_counting or asked[True] > 1
        return Answer(words='{"correct": 1, "reason": "all there"}' if good else "one moment")

    with serving(script) as server:
        results = score_pictures(geneval, chat_for(server.url), items(geneval))
    assert results == [RIGHT] * 7
    assert asked == {False: 6, True: 2}


def test_nobody_there_is_a_failure_of_each(geneval):
    assert score_pictures(geneval, nobody(), items(geneval)) == ["failed"] * 7


def nobody() -> OpenAIChat:
    return chat_for(refused_url(), quarantine_seconds=0.01)


def test_a_run_that_was_killed_pays_for_nothing_twice(geneval, tmp_path):
    down, paid, heard = [True], Counter[str](), list[int]()

    def script(body: dict, number: int) -> Answer:
        tag = words_in(body).split("mugs for ")[1].split("\n")[0]
        if down[0] and tag not in ("color_attr", "counting"):
            return Answer(status=401, words="no key")
        paid[tag] += 1
        return by_tag(color_attr=Answer(words="I cannot say"))(body, number)

    path = tmp_path / "replies.sqlite"
    with serving(script) as server:
        with KeptAnswers(path) as kept, pytest.raises(ValueError, match="no key"):
            score_pictures(geneval, one_by_one(server.url, kept), items(geneval))
        down[0] = False
        with KeptAnswers(path) as kept:
            chat = one_by_one(server.url, kept)
            results = score_pictures(
                geneval, chat, items(geneval), arrived=lambda place, result: heard.append(place)
            )
            again = score_pictures(geneval, chat, items(geneval))
    assert results == again == ["unparsed", *[RIGHT] * 6]
    # The first could not be read in any of its three attempts, and is not asked about again.
    assert paid == dict.fromkeys(TAGS, 1) | {"color_attr": 3}
    assert heard[:2] == [0, 1] and sorted(heard) == list(range(7))


def one_by_one(url: str, kept: KeptAnswers) -> ChatModel:
    return KeptChat(chat_for(url, max_concurrency=1), kept)


def test_another_protocol_asks_anew(geneval, tmp_path):
    path = write_lines(tmp_path / "again.jsonl", geneval_rows())
    ours = load_benchmark("geneval++", path, protocol="ours")
    reply = Answer(words='{"correct": 1, "reason": "all there"} <verdict>no</verdict>')
    with serving(reply) as server, KeptAnswers(tmp_path / "replies.sqlite") as kept:
        chat = one_by_one(server.url, kept)
        assert score_pictures(geneval, chat, items(geneval)[:1]) == [RIGHT]
        [score] = score_pictures(ours, chat, items(ours)[:1])
        assert isinstance(score, Score) and score.passed is False
        assert len(server.requests) == 2


def test_words_kept_under_other_rules_are_read_by_todays(geneval, tmp_path):
    with serving(Answer(words="fine")) as server, KeptAnswers(tmp_path / "r.sqlite") as kept:
        chat = one_by_one(server.url, kept)
        request, picture = items(geneval)[0]
        chat.reply([geneval.question(request, picture)], accept=lambda text: True)
        assert score_pictures(geneval, chat, [(request, picture)]) == ["unparsed"]
        assert len(server.requests) == 1


def test_places_go_on_over_what_is_asked_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(scoring, "AT_ONCE", 4)
    imagine = load_benchmark("imagine", write_lines(tmp_path / "rows.jsonl", imagine_rows(1)))
    heard: dict[int, Result] = {}

    def script(body: dict, number: int) -> Answer:
        place = words_in(body).split('PROMPT: "a thing ')[1].split('"')[0]
        return Answer(
            words=f"Fantasy Fulfillment: {place}\nIdentity Preservation: 10\nAesthetic Quality: 0"
        )

    stored = [
        (request, stored_picture(tmp_path / f"{request.id}.png")) for request in imagine.requests
    ]
    with serving(script) as server:
        results = score_pictures(imagine, chat_for(server.url), stored, arrived=heard.__setitem__)
    assert [one.parts["fantasy"] for one in results if isinstance(one, Score)] == list(range(1, 10))
    assert heard == dict(enumerate(results))
    # Pixels of files are not held beyond their turn.
    assert all(picture._image is None for _, picture in stored)


def stored_picture(path: Path) -> Picture:
    image = Image.new("RGB", (8, 8), "red")
    image.save(path)
    return Picture(Picture.of(image).name, path=path)


def test_a_judge_scores_by_yes_and_no_with_the_requests_own_hints(geneval):
    judge, heard = ByColor(), {}
    sides: list[ScoresPictures] = [
        ScoredByJudge(judge=judge),
        ScoredByQuestion(benchmark=geneval, chat=nobody()),
    ]
    pictures = list(zip(geneval.requests, (RED, BLUE, GRAY), strict=False))
    by_judge, by_question = (side.score(pictures, arrived=heard.__setitem__) for side in sides)
    assert by_judge == [
        Score(value=1.0, passed=True, reason="looked"),
        Score(value=0.0, passed=False, reason="looked"),
        "failed",
    ]
    assert by_question == ["failed"] * 3 == list(heard.values())
    [[first, *_]] = judge.calls
    assert (first.request, first.hints) == ("1 mugs for color_attr", ("exactly 1 mug",))


@pytest.mark.parametrize(
    ("protocol", "tokens", "attempts"), [("official", 200, 1), ("ours", 777, 6)]
)
def test_a_judge_from_a_folder_is_asked_as_options_and_protocol_say(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    protocol: Literal["official", "ours"],
    tokens: int,
    attempts: int,
):
    heard: dict[str, object] = {}

    def load(path: str, **how: object) -> SimpleNamespace:
        heard.update(path=path, **how)
        return SimpleNamespace(name="judge")

    monkeypatch.setattr("genagent_worlds.benchmark_config.LocalChat", SimpleNamespace(load=load))
    rows = write_lines(tmp_path / "rows.jsonl", geneval_rows())
    config = BenchmarkConfig(bench="geneval++", file=rows, protocol=protocol)
    services = FilesAndEndpoints(
        judge="/models/judge", judge_batch=3, judge_tokens=777, judge_device="cuda:1"
    )
    config.scorer(config.open(None), services, tmp_path, world=None)
    asked = {name: heard[name] for name in ("path", "device", "batch_size", "max_tokens")}
    assert asked == {
        "path": "/models/judge",
        "device": "cuda:1",
        "batch_size": 3,
        "max_tokens": tokens,
    }
    # The official protocol asks again at temperature 0, where the same words would come.
    assert heard["max_attempts"] == attempts
    assert attempts == 1 or heard["retry_temperature"] == 0.7
