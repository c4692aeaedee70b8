"""Pictures to be judged: what eyes learn of them, that varied ones are read anew, and that files
keep them."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from genagent_building.eyes import MEASURES, CellHead, cell_measures, vary_picture
from genagent_building.judge_cases import (
    agent_cases,
    drawn_cases,
    load_cases,
    near_miss_case,
    rendered_case,
    save_cases,
    varied,
)
from genagent_data import PictureStore
from genagent_miniworld import Item, load_tool, read, render, sample_requests, weights
from genagent_miniworld.reading import components
from genagent_miniworld.scene import BACKGROUND, COLORS
from genagent_policy import Policy

SQUARE = Item(place=4, color="blue", shape="square", size="small")


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_what_a_varied_picture_is_said_to_show_is_what_the_verifier_sees(seed):
    rng = random.Random(seed)
    case = varied(rendered_case(sample_requests(1, seed=seed, split="train")[0], rng), rng)
    assert case.readings == tuple(read(picture) for picture in case.pictures)
    first, second = (vary_picture(case.pictures[0], random.Random(seed)) for _ in range(2))
    assert first.tobytes() == second.tobytes() != case.pictures[0].tobytes()


def test_measures_of_a_square_are_a_squares():
    things = components(render((SQUARE,), seed=3))
    (measures,) = [row for row in cell_measures([things]) if not row.isnan().any()]
    found = dict(zip(MEASURES, measures.tolist(), strict=True))
    assert found["square"] > 0.95 > found["circle"]
    assert found["strays"] == 0.0 and found["color distance"] < 0.2
    assert found["half width"] == pytest.approx(4 / 6, abs=0.01)  # small over large
    assert cell_measures([things])[4].equal(measures)


def test_of_two_things_in_a_cell_the_larger_is_measured():
    picture = Image.new("RGB", (48, 48), BACKGROUND)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, 8, 8), fill=COLORS["red"])
    draw.rectangle((10, 10, 14, 14), fill=COLORS["blue"])
    measures = cell_measures([components(picture)])
    assert measures[0, MEASURES.index("half width")].item() == pytest.approx(4.5 / 6)


def test_the_loss_of_measures_passes_over_empty_cells():
    head = CellHead(width=4)
    truth = torch.full((9, len(MEASURES)), torch.nan)
    truth[4] = 0.5
    with torch.no_grad():
        head.measures.weight.zero_()
        head.measures.bias.fill_(0.5)
        tokens = torch.randn(9, 4)
        assert head.measures_loss(tokens, truth).item() == 0.0
        head.measures.bias.fill_(0.6)
        # Linear from .05 on: (.1 - .05 / 2) / .05.
        assert head.measures_loss(tokens, truth).item() == pytest.approx(1.5)


def test_near_misses_mostly_miss_and_by_little():
    rng = random.Random(0)
    requests = iter(sample_requests(2000, seed=1, split="train"))
    cases = [near_miss_case(requests, rng) for _ in range(300)]
    errors = [sum(e for _, e in case.spec.errors(case.readings[0])) for case in cases]
    assert 30 < errors.count(0) < 90
    assert sorted(errors)[150] == 2
    # Of items that are all there and nowhere near where they should be, some meet a relation.
    related = [e for case, e in zip(cases, errors, strict=True) if case.spec.relations]
    assert 15 < related.count(0) < 60 < len(related)


def test_a_file_keeps_cases_as_they_are(tmp_path):
    rng = random.Random(0)
    cases = [rendered_case(r, rng) for r in sample_requests(6, seed=5, split="train")]
    save_cases(cases, tmp_path / "cases.npz")
    loaded = load_cases(tmp_path / "cases.npz")
    assert [c.request for c in loaded] == [c.request for c in cases]
    assert [c.readings for c in loaded] == [c.readings for c in cases]
    for before, after in zip(cases, loaded, strict=True):
        for a, b in zip(before.pictures, after.pictures, strict=True):
            assert np.array_equal(np.asarray(a), np.asarray(b))
    assert [path.name for path in tmp_path.iterdir()] == ["cases.npz"]


def test_a_tool_draws_a_held_out_request_twice_and_an_agent_its_last_pictures(tmp_path):
    tool = load_tool("flux-mini")
    drawn = drawn_cases(8, tool, seed=1, split="held-out")
    assert [c.request for c in drawn] == sample_requests(8, seed=3001, split="held-out")
    assert all(a.tobytes() != b.tobytes() for a, b in (case.pictures for case in drawn))
    store = PictureStore(tmp_path)
    cases = agent_cases(8, Policy.load(weights("sft")), tool, seed=1, store=store)
    wanted = {request.id for request in sample_requests(8, seed=4001, split="train")}
    assert len(cases) >= 6 and {case.request.id for case in cases} <= wanted
    assert all(c.readings == tuple(read(p) for p in c.pictures) for c in cases)
    # Two attempts at a request are two, not one told twice.
    assert any(a.tobytes() != b.tobytes() for a, b in (case.pictures for case in cases))
