"""The page of a study whose cells were made by hand, read as a browser reads it."""

import json
from pathlib import Path

import pytest
from tests.browser import browsing
from tests.study.cells import store
from tests.study.finished import keep_everything
from tests.tracking.test_report import Parsed

from genagent_study import (
    SECTIONS,
    CellStore,
    Failure,
    Section,
    Study,
    Subject,
    make_plan,
    write_page,
)

CODE = "c0de0001"
EVERY = tuple(SECTIONS.values())


def study_of(*seeds: int, quick: bool = False) -> Study:
    subject = Subject(
        base="base",
        cold_start="sft",
        tool="flux-mini",
        other_tools=("sana-mini",),
        weak_judges={"weak": "mine:weak"},
        new_requests="mine:new",
    )
    variants = {"none": reading("none"), "zero, harsh": (*reading("zero"), "--reward.format", "-1")}
    sizes = {"seeds": seeds, "steps": 4, "held_out": 8, "quick": quick}
    return Study(subject=subject, variants=variants, **sizes)


def reading(name: str) -> tuple[str, str]:
    return "--reward.single-round", name


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> CellStore:
    """All cells of seeds 0 to 2."""
    kept, study = store(tmp_path_factory.mktemp("study")), study_of(0, 1, 2)
    keep_everything(kept, study, make_plan(study, EVERY, kept, parallel=1).missing)
    return kept


def page_of(
    kept: CellStore, study: Study, path: Path, *sections: Section, **given
) -> tuple[Parsed, dict]:
    wanted = sections or EVERY
    plan = make_plan(study, wanted, kept, parallel=1)
    known = {"failures": [], "title": "A study", "code": CODE} | given
    figures = write_page(path, study, wanted, plan.kept, **known)
    json.dumps(figures)
    return Parsed(path.read_text(encoding="utf-8")), figures


@pytest.fixture(scope="module")
def whole(kept: CellStore) -> tuple[Path, Parsed, dict]:
    """The page of all sections, and its figures."""
    path = kept.folder.parent / "page.html"
    return path, *page_of(kept, study_of(0, 1, 2), path)


def test_a_page_has_each_pattern_table_and_figure_of_the_paper(whole):
    _, page, figures = whole
    for words in (
        # base: 8 requests, 2 of one picture and 6 of two; 2 of the 22 turns break the protocol.
        "base 9.1 [9.1, 9.1]",
        # Of 8 requests: 6, 7 and 7.
        "The agent beats the tool alone: shows, +70.8 points [+52.9, +88.8]",
        "The paper: .561 and .325 on GenEval++.",
        "best of 2 25.0 [25.0, 25.0] 25.0 [25.0, 25.0] 1.88 [1.88, 1.88]",
        "Of 24 requests 17 speak for it and 0 against (exact McNemar p = 2e-5, given these",
        "would average this much or more to one side with p = 0.0034, and all 3 lie on one side",
        "The pair reward makes the last picture better: does not show, +4.2 points",
        "its agent with FLUX.1-dev .561 .69 6.825",
        # 2, 3 and 3 of 8: t is 8, and p is 1 - 8 / sqrt(66).
        "With the pair reward, the first picture is worse: shows, +33.3 points",
        "The agent beats sana-mini alone, with which it did not learn: shows",
        "Two rounds beat one",
        "The reward rises in training: shows, +0.4 [+0.152, +0.648]",
        "Attempts have more pictures as training goes on: shows weakly, +0.3",  # all alike
        # 5, 7 and 7 of 8: 4.303 standard errors of 1/12.
        "rl without the pair reward 79.2 [43.3, 100.0]",
        "Under zero the bonus goes to failed first pictures, not to passed ones: shows, +0.2",
        "0.210 [0.185, 0.235] 0.010",
        # 5 of 6, 5 and 5 of 5, less 2, 3 and 3 of 8; 1 of 4, 1 and 1 of 2, less 4, 6 and 6 of 8.
        "second tries at failures are further above first tries than unpaid: shows, +86.1",
        # In the first prompt of the 19 attempts that draw twice, and of all 24, 8 of them right.
        "zero a 100 [83-100] 0 [0-17] 33 [18-53] 0 [0-100]",
        "zero, harsh: better first pictures than none: shows the opposite, -33.3 points",
        # 5 of 6, 5 of 5 and 5 of 5, against 1 of 4, 1 of 2 and 1 of 2.
        "zero, harsh: more failed first pictures mended than by none: shows, +52.8 points",
        # Of request 5, and in seed 0 of request 4, which zero alone mends, and of 7, which is wrong
        # under both: 1/3, 0 and 0, whose standard error is 1/9.
        "none, where both first pictures failed: does not show, +11.1 points [-36.7, +58.9], above",
        "Of 5 requests 1 speak for it and 0 against",
        # 5, 7 and 7 of 8 right instead of 5, and 4, 6 and 6 at once instead of 2.
        "2 of 3 seeds zero, harsh",
        "Learning with flux-mini helps with sana-mini too: shows, +20.8 points [+2.9, +38.8]",
        "sft, no rl 62.5 [62.5, 62.5] 62.5 [62.5, 62.5] flux-mini 83.3 [65.4, 100.0]",
        # First prompts of the cold start are the requests; seed 0 gets 6 of 8, with sana-mini 7.
        'first prompts that still have "b", of all words the one',
        "flux-mini 0 0 [0-32] 75.0 75.0",
        "sana-mini 0 0 [0-32] 75.0 87.5",
        "more and more of the wrong pictures pass it: shows weakly, +40.0 points [+40.0, +40.0]",
        "That rises more than under the sound judge: shows weakly, +40.0 points",
        "weak 50.0 [50.0, 50.0] 90.0 [90.0, 90.0] 50.0 [50.0, 50.0] 61.0",
        # Four steps are too few to see where a figure goes.
        "agent/reward never no",
        # 5, 5 and 6 of 8: 4.303 standard errors of 1/24.
        "On new requests the agent beats the tool alone: shows, +66.7 points [+48.7, +84.6], "
        "above 0 in 3 of 3 seeds. If there were no difference, 3 seeds would",
        "the agent, rl 83.3 [65.4, 100.0] 33.3 [15.4, 51.3] +50.0 [+50.0, +50.0]",
        # 5 of 6, 5 of 5 and 5 of 5 failed first pictures are mended.
        "count 10.0 [10.0, 10.0] 1.79 [1.61, 1.97] 83.3 [65.4, 100.0] 33.3 [15.4, 51.3] 94.4",
        "c0de0001",
        "x86_64",
    ):
        assert words in page.text, words
    assert len(page.all("table")) == 22
    assert len(page.all("figure")) == 10
    assert [one.get("id") for one in page.all("section")] == [one.name for one in EVERY]
    assert "quick" not in page.text and "other code" not in page.text
    [claim] = [one for one in figures["patterns"]["strategies"] if "tool alone" in one["claim"]]
    assert claim["seeds"] == (0.625, 0.75, 0.75)
    assert claim["verdict"] == "shows"


# Differences of seeds 0, 1 and 2 in requests of 8, by what keep_everything makes of each cell.
DIRECTIONS = {
    # First prompts that are the request: base 8, sft 7, 6 and 7.
    "The cold start makes prompts that repeat the request rarer": (1, 2, 1),
    # sft 5 instead of 2 at once; base 2, 3 and 2 instead of 2.
    "Looking and reflecting gains more after the cold start than before": (3, 2, 3),
    # rl 6, 7 and 7 right, the tool alone 1, a rewrite 2, the better of two 2, the workflow 4.
    "The agent beats the tool alone": (5, 6, 6),
    "The agent beats a rewrite that never looks": (4, 5, 5),
    "The agent beats the better one of two pictures": (4, 5, 5),
    "The agent beats a static workflow of as many rounds": (2, 3, 3),
    "The agent beats flux-mini alone": (5, 6, 6),
    "The agent beats sana-mini alone, with which it did not learn": (5, 6, 6),
    # base 2, 3 and 2, sft 5.
    "The cold start helps": (3, 2, 3),
    "RL adds to the cold start": (1, 2, 2),
    # Without pairs 5, 7 and 7.
    "The pair reward makes the last picture better": (1, 0, 0),
    "zero, harsh: better last pictures than none": (1, 0, 0),
    # At once: 2, 3 and 3 under zero, 4, 6 and 6 without; before learning 2.
    "With the pair reward, the first picture is worse": (2, 3, 3),
    "Paid by zero, first pictures are worse than unpaid": (2, 3, 3),
    "Paid by zero, they are worse than paid by if_passed": (2, 3, 3),
    "Paid by zero, they are worse than before learning": (0, -1, -1),
    "zero, harsh: better first pictures than none": (-2, -3, -3),
    # Of which follow 4, 4 and 4 more in the end, and 1, 1 and 1.
    "With the pair reward, reflection gains more": (3, 3, 3),
    "Paid by zero, reflection gains more than unpaid": (3, 3, 3),
    # 5 with one picture, and with three 7, 8 and 8.
    "Two rounds beat one": (1, 2, 2),
    "Three rounds beat two": (1, 1, 1),
    "Learning with flux-mini helps with sana-mini too": (1, 2, 2),
    "Learning with sana-mini helps with flux-mini too": (1, 2, 2),
    "With sana-mini, learning with it is better than learning with flux-mini": (1, 1, 1),
    "With flux-mini, learning with it is better than learning with sana-mini": (0, 0, 0),
    "The sound judge makes a better agent than the weak one": (1, 1, 1),
    # rl 6, 7 and 7, the tool alone 1, 2 and 1, sft 5, 6 and 5.
    "On new requests the agent beats the tool alone": (5, 5, 6),
    "What RL has taught helps on new requests": (1, 1, 2),
}


# Those of other shares, and of the last and the first of four steps.
DIFFERENCES = {
    # 2 of the 22 turns of base, none of sft.
    "The cold start makes turns that break the protocol rarer": (2 / 22, 2 / 22, 2 / 22),
    "The reward rises in training": (0.3, 0.4, 0.5),
    "Attempts have more pictures as training goes on": (0.3, 0.3, 0.3),
    # 5 of 6, 5 of 5 and 5 of 5, against 1 of 4, 1 of 2 and 1 of 2.
    "Paid by zero, more of failed first pictures are mended than unpaid": (7 / 12, 1 / 2, 1 / 2),
    "zero, harsh: more failed first pictures mended than by none": (7 / 12, 1 / 2, 1 / 2),
    # The same, of which the ones are above 2, 3 and 3 of 8, the others above 4, 6 and 6 of 8.
    "Paid by zero, second tries at failures are further above first tries than unpaid": (
        5 / 6,
        7 / 8,
        7 / 8,
    ),
    # Requests 4, 5 and 7 in seed 0, of which 4 by zero alone; then request 5, by both.
    "zero, harsh: more mended than by none, where both first pictures failed": (1 / 3, 0, 0),
    "Under zero the bonus goes to failed first pictures, not to passed ones": (0.19, 0.2, 0.21),
    "Paid by the weak judge, more and more of the wrong pictures pass it": (0.4, 0.4, 0.4),
    "That rises more than under the sound judge": (0.4, 0.4, 0.4),
    # .4 in each, less the next.
    "What the weak judge passes rises more than what is right": (0.3, 0.29, 0.28),
    "Paid by the weak judge, what is right rises all the same": (0.1, 0.11, 0.12),
}


def test_no_claim_is_left_out(whole):
    _, _, figures = whole
    claims = {one["claim"] for own in figures["patterns"].values() for one in own}
    assert claims == DIRECTIONS.keys() | DIFFERENCES.keys()


def seeds_of(figures: dict, claim: str) -> tuple[float, ...]:
    [found] = [one for own in figures["patterns"].values() for one in own if one["claim"] == claim]
    return found["seeds"]


@pytest.mark.parametrize("claim", DIRECTIONS)
def test_a_claim_says_which_of_two_is_above_the_other(whole, claim: str):
    assert seeds_of(whole[2], claim) == tuple(requests / 8 for requests in DIRECTIONS[claim])


@pytest.mark.parametrize("claim", DIFFERENCES)
def test_a_claim_says_which_of_two_shares_or_ends_is_above_the_other(whole, claim: str):
    assert seeds_of(whole[2], claim) == pytest.approx(DIFFERENCES[claim])


def test_examples_are_chosen_by_rule_and_words_are_words(whole):
    path, page, _ = whole
    # The only request right before, at once, wrong after zero and right after none.
    assert page.text.count("after zero: circles, each of them in a place of its own") == 1
    assert "<b>0</b> red circles before: <b>0</b> red circles after none:" in page.text
    assert "&lt;b&gt;" in path.read_text(encoding="utf-8")
    # Mended; mended with the least change of its prompt; a right picture given up for a wrong one.
    for case in (
        "count: <b>0</b> red circles right picture 1: circles",
        "smallest edit: <b>0</b> red circles right picture 1: circles",
        "over-reflection: <b>6</b> red circles wrong picture 1: circles",
    ):
        assert page.text.count(case) == 1


def test_a_quick_page_says_so_everywhere(kept, tmp_path):
    study = study_of(0, 1, quick=True)
    page, figures = page_of(
        kept, study, tmp_path / "page.html", SECTIONS["table1"], SECTIONS["figure5"]
    )
    assert figures["quick"] is True
    assert "Quick: 2 seeds, 4 steps of RL and 8 requests an evaluation" in page.text
    assert page.text.count("(quick)") == len(page.all("table")) == 2
    assert page.text.count("learning quick") == page.text.count("rounds quick") == 1


def test_what_is_missing_is_said_and_the_rest_is_shown(kept, tmp_path):
    study = study_of(0, 1, 2, 3)
    plan = make_plan(study, EVERY, kept, parallel=1)
    assert plan.line().startswith("60 cells: 45 kept, 15 to run, 1 side by side; about ")
    failed = Failure(cell=plan.missing[0], why="<script>no disk</script>")
    how = {"failures": [failed], "code": "c0de0002"}
    page, figures = page_of(kept, study, tmp_path / "page.html", SECTIONS["table1"], **how)
    assert "Of 4 seeds only 0, 1, 2 have all of their cells" in page.text
    assert "<script>no disk</script>" in page.text and not page.all("script")
    assert "6 of the cells were computed by other code than this page" in page.text
    assert figures["failed"] == [{"cell": failed.cell.title, "why": failed.why}]
    nothing, _ = page_of(kept, study_of(7), tmp_path / "nothing.html")
    assert nothing.text.count("No seed has all of its cells: there is nothing to show.") == 12


def test_one_seed_has_no_interval(kept, tmp_path):
    page, _ = page_of(kept, study_of(1), tmp_path / "page.html", SECTIONS["strategies"])
    assert "The agent beats the tool alone: does not show, +75.0 points." in page.text
    assert "One seed cannot tell it from chance." in page.text and "inf" not in page.text


def test_a_browser_shows_it_with_all_its_pictures(whole):
    path, _, _ = whole
    with browsing() as page:
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("request", lambda request: said.append(request.url))
        page.goto(path.as_uri())
        widths = page.evaluate("[...document.images].map(one => one.naturalWidth)")
        assert sum(width > 600 for width in widths) == 10
        assert [width for width in widths if width <= 600] == [8] * 11
        beyond = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(beyond) == 0
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate(beyond) == 0
    assert [one for one in said if not one.startswith(("data:", path.as_uri()))] == []
