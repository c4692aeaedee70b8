"""The page in a real browser: rounds arrive, text stays text, an opinion is kept, a token is asked
for."""

import gc
import json
import weakref

import httpx
import mlflow
import pytest
from PIL import Image
from tests.browser import browsing
from tests.rollout.painting import DONE, FIRST, Painter
from tests.serving.agents import TOKEN, engine_of, serving
from tests.serving.browser import draw
from tests.waiting import until

from genagent_data import PictureStore, Request, Round, Trajectory, Turn, render_turn
from genagent_serving import AgentLoopConfig, Answered, FeedbackBook
from genagent_tracking import MlflowTracker, PersonFeedback, TrackerConfig

pytest.importorskip("gradio")

MARKUP = "a <img src=x onerror=\"document.title='owned'\"> ${document.title='owned'} {{7*7}} **b**"
HOSTILE = [
    render_turn(Turn(thinking=MARKUP, tool_prompt="draw one")),
    render_turn(Turn(judgement=MARKUP, thinking="more", tool_prompt=MARKUP)),
    render_turn(Turn(judgement="all there", answer=MARKUP)),
]


@pytest.fixture
def kept(tmp_path):
    """A book of feedback, and what MLflow has of it once it is closed."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    config = TrackerConfig(experiment="page", uri=uri, system_seconds=0)
    tracker = MlflowTracker(config, run_config=AgentLoopConfig())
    pictures = PictureStore(tmp_path / "pictures")
    book = FeedbackBook(tmp_path / "feedback.jsonl", tracker, pictures)

    def assessments():
        tracker.close()
        client = mlflow.MlflowClient(uri)
        traces = client.search_traces(locations=[tracker.experiment_id])
        return [
            (
                trace,
                [
                    (
                        a.name,
                        a.feedback and a.feedback.value,
                        a.source.source_type,
                        a.source.source_id,
                        a.rationale,
                    )
                    for a in trace.info.assessments
                ],
            )
            for trace in traces
        ]

    yield book, assessments
    tracker.close()


@pytest.mark.slow
def test_rounds_arrive_text_stays_text_and_opinions_are_kept(tiny_policy, tmp_path, kept):
    book, assessments = kept
    engine = engine_of(tiny_policy, [HOSTILE])
    with serving(engine, Painter(), tmp_path / "pictures", book=book) as served, browsing() as page:
        hosts, dialogs = set(), []
        page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
        page.on("dialog", lambda dialog: dialogs.append(dialog.message))
        draw(page, served.url, "two <b>circles</b>", seed=0)
        chapters = page.locator("#story .chapter")
        assert chapters.count() == 2
        assert page.locator("#story .chapter img").count() == 2
        assert [MARKUP in chapters.nth(index).inner_text() for index in (0, 1)] == [True, True]
        assert page.locator("#story .verdict").all_inner_texts() == [
            "sees a fault, and goes on",
            "sees no fault, and stops",
        ]
        assert MARKUP in page.inner_text("#story .ending")
        assert (page.title(), dialogs) == ("agent", [])
        page.click("#best label:has-text('picture 1')")
        page.fill("#comment textarea, #comment input", "the <i>second</i> lost one")
        page.click("#down")
        page.wait_for_selector("#kept :text('thumb down is kept')")
        page.click("#up")
        page.wait_for_selector("#kept :text('thumb up is kept')")
        assert hosts == {served.url.removeprefix("http://")}
    rows = [json.loads(line) for line in book.path.read_text().splitlines()]
    said = {"best_picture": 1, "comment": "the <i>second</i> lost one", "who": "page"}
    assert [row["feedback"] for row in rows] == [
        {"thumb_up": False, **said},
        {"thumb_up": True, **said},
    ]
    assert rows[0]["trajectory"]["request"]["prompt"] == "two <b>circles</b>"
    assert rows[0]["turns"] == HOSTILE
    [(trace, found)] = assessments()
    assert trace.info.request_preview == "two <b>circles</b>"
    human = [("HUMAN", "page", "the <i>second</i> lost one")] * 2
    first = [("person thumb up", False), ("person best picture", 1.0)]
    second = [("person thumb up", True), ("person best picture", 1.0)]
    assert sorted(found, key=str) == sorted(
        [(*what, *who) for what, who in zip([*first, *second], [*human, *human], strict=True)],
        key=str,
    )


@pytest.mark.slow
def test_what_is_remembered_holds_no_pixels(tmp_path, kept):
    book, assessments = kept
    picture = PictureStore(tmp_path / "pictures").put(Image.new("RGB", (8, 8), "red"))
    pixels = weakref.ref(picture.image)
    drawn = Round(thinking="one", tool_prompt="a red square", picture=picture)
    request = Request(id="0", prompt="red")
    trajectory = Trajectory(request=request, rounds=(drawn,), ending="out_of_rounds")
    said = {"turns": ("a turn",), "turn_seconds": (1.0,), "seed": 3, "seconds": 2.0}
    name = book.remember(Answered(trajectory=trajectory, **said))
    del picture, drawn, trajectory
    gc.collect()
    assert pixels() is None
    book.keep(name, PersonFeedback(thumb_up=True, who="page"))
    [(trace, found)] = assessments()
    assert trace.info.request_preview == "red"
    assert [(name, thumb) for name, thumb, *_ in found] == [("person thumb up", True)]


def test_a_token_is_asked_for_by_the_page_and_never_told(tiny_policy, tmp_path, kept):
    book, assessments = kept
    engine = engine_of(tiny_policy, [[FIRST, DONE]])
    with (
        serving(engine, Painter(), tmp_path / "pictures", book=book, token=TOKEN) as served,
        browsing() as page,
    ):
        bodies = []
        page.on("response", lambda answer: bodies.append(answer))
        closed = [httpx.get(served.url + path) for path in ("/ui/config", "/ui/gradio_api/info")]
        wrong = httpx.post(
            served.url + "/ui/login", data={"username": "eve", "password": "nonsense"}
        )
        api = httpx.get(served.url + "/v1/models")
        page.goto(served.url)
        page.wait_for_selector("input[type=password]")
        assert page.locator("#request").count() == 0
        page.locator("input").first.fill("ada")
        page.fill("input[type=password]", TOKEN)
        page.keyboard.press("Enter")
        page.wait_for_selector("#request")
        assert TOKEN not in page.content()
        draw(page, served.url, "two circles", seed=0)
        page.click("#up")
        page.wait_for_selector("#kept :text('thumb up is kept')")
        cookies = page.context.cookies()
    assert [answer.status_code for answer in closed] == [401, 401]
    assert (wrong.status_code, api.status_code) == (400, 401)
    assert TOKEN not in str(cookies)
    [(_, found)] = assessments()
    assert {(name, who) for name, _, _, who, _ in found} == {
        ("person thumb up", "ada"),
        ("person best picture", "ada"),
    }


@pytest.mark.slow
def test_who_leaves_or_stops_gives_the_trajectory_back(tiny_policy, tmp_path, kept):
    from tests.serving.test_agent_server import TWO_ROUNDS, Waiting

    book, _ = kept
    engine, tool = engine_of(tiny_policy, [TWO_ROUNDS] * 2), Waiting()
    with serving(engine, tool, tmp_path / "pictures", book=book) as served, browsing() as page:
        for leave in (lambda: page.click("#stop"), lambda: page.goto("about:blank")):
            page.goto(f"{served.url}/ui")
            page.fill("#request textarea, #request input", "two circles")
            page.fill("#seed textarea, #seed input", "0")
            page.click("#draw")
            until(lambda: served.agents.in_progress == 1)
            page.wait_for_selector("#story .chapter")
            leave()
            until(lambda: served.agents.in_progress == 0)
        tool.go.set()


@pytest.mark.slow
def test_what_is_refused_is_said_on_the_page(tiny_policy, tmp_path, kept):
    book, _ = kept
    engine = engine_of(tiny_policy, [[FIRST, DONE]])

    def problem(request):
        return f"not <b>{request.prompt}</b>"

    with (
        serving(engine, Painter(), tmp_path / "pictures", book=book, problem=problem) as served,
        browsing() as page,
    ):
        page.goto(f"{served.url}/ui")
        page.fill("#request textarea, #request input", "this")
        page.click("#draw")
        page.wait_for_selector("text=not <b>this</b>")
        page.fill("#seed textarea, #seed input", "many")
        page.click("#draw")
        page.wait_for_selector("text=The seed is many; wants a whole number, or nothing.")
        page.fill("#seed textarea, #seed input", "9" * 19)
        page.click("#draw")
        page.wait_for_selector(f"text=The seed is {'9' * 19}; wants {2**63 - 1} at most.")
