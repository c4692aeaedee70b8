"""What the policies are taught from: labels of cells, spoilt scenes, lessons of the tool."""

import random

import torch
from hypothesis import given
from hypothesis import strategies as st

from genagent_building.eye_training import pictures_read, train_vision
from genagent_building.eyes import CellHead, cell_labels
from genagent_building.lessons import _swap, drill, spoil
from genagent_building.policy import build_policy
from genagent_building.training import VisionTraining
from genagent_miniworld import Item, Reading, random_scene, render

RED = Item(place=0, color="red", shape="circle", size="large")
BLUE = Item(place=4, color="blue", shape="square", size="small")


def test_labels_say_what_is_in_each_cell():
    labels = cell_labels([Reading(items=(BLUE,), unclear=(1, 4)), Reading(items=(RED,))])
    assert labels["item"].tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert labels["blob"].tolist() == [0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    there = [4, 9]
    assert labels["color"][there].tolist() == [2, 0]
    assert labels["shape"][there].tolist() == [1, 0]
    assert labels["size"][there].tolist() == [0, 1]
    absent = [cell for cell in range(18) if cell not in there]
    assert set(labels["color"][absent].tolist()) == {-100}


def test_a_cell_is_right_only_with_every_trait_right():
    head = CellHead(width=11)
    traits = {
        name: layer for name, layer in head.traits.items() if isinstance(layer, torch.nn.Linear)
    }
    with torch.no_grad():
        for layer in (head.there, *traits.values()):
            layer.weight.zero_()
            layer.bias.zero_()
        # The token spells the answer: item, blob, four colours, three shapes, two sizes.
        for layer, first in (
            (head.there, 0),
            (traits["color"], 2),
            (traits["shape"], 6),
            (traits["size"], 9),
        ):
            for row in range(layer.out_features):
                layer.weight[row, first + row] = 1.0
        head.there.bias.fill_(-0.5)
    labels = cell_labels([Reading(items=(RED,))])
    tokens = torch.zeros(9, 11)
    tokens[0, [0, 2, 6, 10]] = 1.0
    assert head.right(tokens, labels).all()
    for wrong in (0, 1, 3, 7, 9):  # no item, a blob beside it, green, square, small
        other = tokens.clone()
        other[0, wrong] = 2.0 - 2.0 * (wrong == 0)
        assert head.right(other, labels).tolist() == [False, *[True] * 8]


def test_the_vision_tower_learns_to_read_cells():
    policy = build_policy(0)
    rng = random.Random(0)
    drawn = [render(random_scene(rng, rng.randint(0, 6)), seed=i) for i in range(64)]
    losses = []
    config = VisionTraining(steps=30, batch=32)
    words = policy.model.model.language_model.embed_tokens.weight.clone()
    head = train_vision(policy, drawn, config, lambda _, loss: losses.append(loss), seed=0)
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
    assert policy.model.model.language_model.embed_tokens.weight.equal(words)
    # 54 of 64 whole pictures here; an untrained tower reads the empty ones at best.
    assert sum(pictures_read(policy, head, drawn)) > 32


@given(seed=st.integers(0, 10**6), count=st.integers(2, 8))
def test_a_swap_keeps_every_word_and_every_place(seed, count):
    rng = random.Random(seed)
    scene = random_scene(rng, count)
    swapped = _swap(scene, rng)
    for trait in ("place", "color", "shape", "size"):
        before, after = (sorted(str(getattr(i, trait)) for i in s) for s in (scene, swapped))
        assert before == after
    assert len(set(scene) - set(swapped)) in (0, 2)


@given(seed=st.integers(0, 10**6), count=st.integers(1, 8))
def test_a_spoilt_scene_can_be_drawn(seed, count):
    rng = random.Random(seed)
    spoilt = spoil(random_scene(rng, count), rng)
    assert abs(len(spoilt) - count) <= 1
    render(spoilt)


def test_of_a_drill_only_the_conclusions_are_learnt():
    policy = build_policy(0)
    rng = random.Random(0)
    for _ in range(20):
        lesson = drill(policy, rng)
        text = policy.chat.decode(lesson.ids.tolist())
        judgement = text.rsplit("<judge>", 1)[1].split("</judge>")[0]
        learnt = [
            policy.chat.decode([token]).strip()
            for token, chosen in zip(lesson.ids.tolist(), lesson.policy_mask, strict=True)
            if chosen
        ]
        seen, *checks = judgement.split(". ")
        expected = [item.rsplit(" ", 1)[1] for item in seen.split(", ")]
        for check in checks[:-1]:
            # A relation has no number of its own.
            words = check.split(" ")
            expected += words[-2:] if words[-2].isdigit() else words[-1:]
        assert learnt == [*expected, checks[-1]]
        assert len(lesson.grids) == 0
