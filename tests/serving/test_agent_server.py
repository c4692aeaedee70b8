"""The agent behind an image server's protocol, over real connections on loopback."""

import base64
import io
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from PIL import Image
from tests.rollout.painting import AGAIN, DONE, FAILS, FIRST, Painter, calling, painted
from tests.serving.agents import GENERATIONS, TOKEN, engine_of, serving
from tests.waiting import until

from genagent_data import Turn, derive_seed, render_turn
from genagent_tools import HttpImageTool, HttpToolConfig

TWO_ROUNDS = [FIRST, AGAIN, DONE]
FAILS_LATER = render_turn(Turn(judgement="one missing", thinking="more", tool_prompt="unlucky"))


class Waiting(Painter):
    """Draws when it is told to."""

    def __init__(self):
        super().__init__()
        self.go, self.busy = threading.Event(), threading.Event()

    def generate(self, prompts, seeds):
        self.busy.set()
        assert self.go.wait(60)
        return super().generate(prompts, seeds)


def pixels(encoded):
    return Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB").tobytes()


def drawn(prompt, seed, index):
    """What the painter gives an attempt of this seed in its round of this index."""
    return painted(prompt, derive_seed(seed, "tool", index)).tobytes()


def test_the_last_picture_is_the_answer_and_rounds_come_where_they_are_asked_for(
    tiny_policy, tmp_path
):
    with serving(engine_of(tiny_policy, [TWO_ROUNDS]), Painter(), tmp_path) as served:
        answer = served.ask(seed=0, rounds=True, model="agent", user="x", size="48x48").json()
        [plain] = served.ask(seed=0).json()["data"]
        assert served.metric('trajectories_total{ending="answer"}') == 2
        assert served.metric("rounds_sum") == 4
    [entry] = answer["data"]
    assert (answer["model"], answer["size"], answer["output_format"]) == ("agent", "48x48", "png")
    assert pixels(entry["b64_json"]) == drawn("draw two", 0, 1)
    assert (entry["revised_prompt"], entry["seed"]) == ("draw two", 0)
    assert (entry["ending"], entry["error"], entry["answer"]) == ("answer", None, "done")
    rounds = entry["rounds"]
    assert [(r["prompt"], r["thinking"], r["judgement"]) for r in rounds] == [
        ("draw one", "t", "one missing"),
        ("draw two", "more", "all there"),
    ]
    assert [pixels(r["b64_json"]) for r in rounds] == [
        drawn("draw one", 0, 0),
        drawn("draw two", 0, 1),
    ]
    assert [r["seed"] for r in rounds] == [derive_seed(0, "tool", index) for index in (0, 1)]
    assert all(r["seconds"] > 0 for r in rounds)
    assert "rounds" not in plain and plain["b64_json"] == entry["b64_json"]


def test_each_of_n_attempts_has_its_own_seed(tiny_policy, tmp_path):
    scripts = [[calling(f"picture {seed}"), DONE] for seed in range(3)]
    with serving(engine_of(tiny_policy, scripts), Painter(), tmp_path) as served:
        answer = served.ask(seed=0, n=3).json()
    assert [(e["seed"], e["revised_prompt"]) for e in answer["data"]] == [
        (0, "picture 0"),
        (1, "picture 1"),
        (2, "picture 2"),
    ]
    assert [pixels(e["b64_json"]) for e in answer["data"]] == [
        drawn(f"picture {seed}", seed, 0) for seed in range(3)
    ]


def test_an_attempt_without_a_picture_is_an_error_that_says_how_it_ended(tiny_policy, tmp_path):
    scripts = [["no turn"], [FAILS], [FIRST, FAILS_LATER]]
    with serving(engine_of(tiny_policy, scripts), Painter(), tmp_path) as served:
        broken, failed, half = (served.ask(seed=seed) for seed in range(3))
        assert served.metric('pictures_total{outcome="failed"}') == 2
        assert served.metric('trajectories_total{ending="tool_failure"}') == 2
        assert served.metric('trajectories_total{ending="format_error"}') == 1
        assert served.metric('requests_total{status="502"}') == 1
    assert (broken.status_code, broken.json()["error"]) == (
        500,
        {
            "message": "the agent ended without a picture at seed 0: format error (no_action)",
            "type": "server_error",
            "param": None,
            "code": "no_picture",
        },
    )
    assert (failed.status_code, failed.json()["error"]["code"]) == (502, "tool_failed")
    assert failed.json()["error"]["message"].endswith("seed 1: tool failure (out of paint)")
    # What was drawn before the tool failed is not lost.
    [entry] = half.json()["data"]
    assert pixels(entry["b64_json"]) == drawn("draw one", 2, 0)
    assert (entry["ending"], entry["error"]) == ("tool_failure", "out of paint")


@pytest.mark.parametrize(
    ("body", "status", "param", "says"),
    [
        ({"prompt": "x" * 401}, 400, "prompt", "401 characters; 400 characters at most"),
        ({"prompt": ""}, 422, "prompt", "at least 1 character"),
        ({"prompt": " \n "}, 400, "prompt", "the prompt is empty; say what to draw"),
        ({"prompt": "a\0b"}, 400, "prompt", "the prompt holds a NUL character at 1; take it out"),
        ({"prompt": "refused"}, 400, "prompt", "not this one"),
        ({"n": 11}, 422, "n", "less than or equal to 10"),
        ({"size": "64x64"}, 400, "size", "agent draws 48x48 only; leave size out"),
        ({"response_format": "url"}, 400, "response_format", "ask for 'b64_json'"),
        ({"stream": True}, 400, "stream", "leave stream out"),
        ({"model": "dall-e-3"}, 404, "model", "this server has 'agent'"),
        ({"num_inference_steps": 4}, 400, "num_inference_steps", "does not know"),
        ({"rounds": "yes"}, 422, "rounds", "valid boolean"),
        ({"seed": -1}, 422, "seed", "greater than or equal to 0"),
    ],
)
def test_what_cannot_be_done_is_said_in_openais_words(
    tiny_policy, tmp_path, body, status, param, says
):
    engine, tool = engine_of(tiny_policy, [TWO_ROUNDS]), Painter()

    def problem(request):
        return "not this one" if request.prompt == "refused" else None

    with serving(engine, tool, tmp_path, problem=problem) as served:
        answer = served.ask(**{"seed": 0, **body})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (status, param)
    assert says in error["message"]
    assert (error["type"], tool.calls) == ("invalid_request_error", [])


def test_a_prompt_that_the_engine_has_no_room_for_is_refused_with_the_number(tiny_policy, tmp_path):
    # Room for one page of 512 tokens and the response, and no more.
    engine = engine_of(tiny_policy, [TWO_ROUNDS], cache_gib=0.001)
    room = engine._capacity
    engine.sampling = type(engine.sampling)(max_response_tokens=room - 60)
    with serving(engine, Painter(), tmp_path) as served:
        refused = served.ask(seed=0, prompt="two " * 90)
        assert served.ask(seed=0, prompt="two").status_code == 200
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "prompt_too_long")
    assert f"and the cache holds {room}" in refused.json()["error"]["message"]


def test_a_tool_that_does_not_say_its_size_takes_none(tiny_policy, tmp_path):
    engine = engine_of(tiny_policy, [TWO_ROUNDS])
    with serving(engine, Painter(), tmp_path, size=None) as served:
        refused, drawn = served.ask(seed=0, size="48x48"), served.ask(seed=0, size="auto")
        [model] = httpx.get(served.url + "/v1/models").json()["data"]
    assert refused.json()["error"]["message"] == "agent draws as its tool does; leave size out"
    assert drawn.json()["size"] == "48x48"
    assert (model["id"], model["words"], model["defaults"]["size"]) == ("agent", None, None)
    assert model["extensions"] == ["seed", "rounds"]


def test_a_client_that_hangs_up_gives_its_trajectory_and_its_pages_back(tiny_policy, tmp_path):
    engine, tool = engine_of(tiny_policy, [TWO_ROUNDS] * 4), Waiting()
    with serving(engine, tool, tmp_path, at_once=2) as served:
        with pytest.raises(httpx.ReadTimeout):
            patience = httpx.Timeout(60, read=1.0)
            body = {"prompt": "gone", "n": 4, "seed": 0}
            httpx.post(served.url + GENERATIONS, json=body, timeout=patience)
        assert tool.busy.wait(10)
        until(lambda: served.agents.in_progress == served.agents.waiting == 0)
        until(lambda: served.metric('requests_total{status="499"}') == 1)
        tool.go.set()
        assert served.ask(seed=3).status_code == 200
    assert not engine._scheduler._open
    assert not any("gone" in prompt for call in tool.calls for prompt, _ in call)
    # The two that had asked for a picture, and the one that came later: no second round of theirs.
    assert sum(len(call) for call in tool.calls) <= 4


def test_who_finds_no_room_is_told_when_to_come_back(tiny_policy, tmp_path):
    engine, tool = engine_of(tiny_policy, [TWO_ROUNDS] * 4), Waiting()
    with (
        serving(engine, tool, tmp_path, at_once=1, max_waiting=2) as served,
        ThreadPoolExecutor(2) as pool,
    ):
        acting = pool.submit(served.ask, seed=0)
        assert tool.busy.wait(10)
        waiting = pool.submit(served.ask, seed=1, n=2)
        until(lambda: served.agents.waiting == 2)
        refused = served.ask(seed=3)
        assert httpx.get(served.url + "/healthz").json()["queue_depth"] == 2
        assert served.metric("in_progress") == 1
        tool.go.set()
        answers = [acting.result(60), waiting.result(60)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 600
    assert refused.json()["error"]["code"] == "queue_full"


def test_a_draining_server_finishes_what_it_has_and_takes_no_more(tiny_policy, tmp_path):
    engine, tool = engine_of(tiny_policy, [TWO_ROUNDS] * 2), Waiting()
    with serving(engine, tool, tmp_path) as served, ThreadPoolExecutor(1) as pool:
        acting = pool.submit(served.ask, seed=0)
        assert tool.busy.wait(10)
        served.service.drain()
        refused, health = served.ask(seed=1), httpx.get(served.url + "/healthz")
        assert not served.service.drained
        tool.go.set()
        assert acting.result(60).status_code == 200
        until(lambda: served.service.drained)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")
    assert int(refused.headers["retry-after"]) >= 1
    assert health.json()["status"] == "draining"


def test_a_token_is_asked_for(tiny_policy, tmp_path):
    with serving(engine_of(tiny_policy, [TWO_ROUNDS]), Painter(), tmp_path, token=TOKEN) as served:
        headers = {"authorization": f"Bearer {TOKEN}"}
        body = {"prompt": "x", "seed": 0}
        right = httpx.post(served.url + GENERATIONS, json=body, headers=headers, timeout=60)
        refused = [served.ask(seed=0), httpx.get(served.url + "/v1/models")]
        assert httpx.get(served.url + "/healthz").status_code == 200
    assert right.status_code == 200
    assert [answer.status_code for answer in refused] == [401, 401]


@pytest.mark.parametrize("dialect", ["genagent", "openai"])
def test_an_agent_is_another_ones_tool(tiny_policy, tmp_path, dialect):
    engine = engine_of(tiny_policy, [[calling("one circle"), DONE]] * 2**5)
    with serving(engine, Painter(), tmp_path, token=TOKEN) as served:
        config = HttpToolConfig(
            base_urls=(served.url,), dialect=dialect, model="agent", api_key_env="AGENT_TOKEN"
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AGENT_TOKEN", TOKEN)
            with HttpImageTool(config) as tool:
                if dialect == "openai":
                    # It knows no seed, and one is drawn, for which there is no script.
                    patch.setattr("secrets.randbelow", lambda below: 5)
                seeds = [5, 6] if dialect == "genagent" else [5, 5]
                pictures = tool.generate(["two circles", "three"], seeds)
                assert tool.words() is None
    assert [p.tobytes() for p in pictures] == [drawn("one circle", seed, 0) for seed in seeds]


def test_openais_own_client_draws_with_it_unchanged(tiny_policy, tmp_path):
    openai = pytest.importorskip("openai")
    with serving(engine_of(tiny_policy, [TWO_ROUNDS]), Painter(), tmp_path, token=TOKEN) as served:
        client = openai.OpenAI(base_url=f"{served.url}/v1", api_key=TOKEN, max_retries=0)
        assert [model.id for model in client.models.list()] == ["agent"]
        answer = client.images.generate(
            model="agent",
            prompt="two circles",
            response_format="b64_json",
            extra_body={"seed": 0, "rounds": True},
        )
        with pytest.raises(openai.BadRequestError, match="leave size out"):
            client.images.generate(model="agent", prompt="two circles", size="1024x1024")
        wrong = openai.OpenAI(base_url=f"{served.url}/v1", api_key="nonsense", max_retries=0)
        with pytest.raises(openai.AuthenticationError):
            wrong.images.generate(model="agent", prompt="two circles")
    [image] = answer.data
    assert (image.revised_prompt, pixels(image.b64_json)) == (
        "draw two",
        drawn("draw two", 0, 1),
    )
    assert [round["prompt"] for round in image.rounds] == ["draw one", "draw two"]
