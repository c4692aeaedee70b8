"""What the policies are taught from: conversations of the scripted teacher, as tokens.

Four kinds. *Reading* lessons pair a request with a picture that meets it, nearly meets it or has
nothing to do with it, so that eyes and judgement are trained on endless fresh scenes. *Drills* are
judgements in words alone. *Cold start* lessons are whole trajectories through the real tool.
*Unreliable* ones are what a model says that
was never taught the protocol well: broken calls, copied prompts, verdicts by a coin.
"""

import random
from collections.abc import Sequence
from dataclasses import replace

import torch
from PIL import Image

from genagent_data import Request, Turn, render_turn
from genagent_miniworld.conditions import (
    REGIONS,
    RELATIONS,
    Condition,
    Count,
    Kind,
    Relation,
    Spec,
    parse_hints,
)
from genagent_miniworld.grammar import Split, sample_requests
from genagent_miniworld.reading import Reading
from genagent_miniworld.scene import (
    COLORS,
    SHAPES,
    SIZES,
    Item,
    Scene,
    random_scene,
    render,
)
from genagent_miniworld.teacher import Teacher, judgement_pieces, solve
from genagent_policy import Policy, TokenTrajectory
from genagent_tools import ImageTool

Lesson = tuple[Request, tuple[str, ...], tuple[Image.Image, ...]]
"""A request, the agent's turns, and the pictures between them."""


def tokens(policy: Policy, lesson: Lesson) -> TokenTrajectory:
    """A lesson as the policy is trained on it."""
    request, turns, pictures = lesson
    return policy.chat.render(turns, request.prompt, pictures)


def reading_lesson(request: Request, teacher: Teacher, rng: random.Random) -> Lesson:
    """One rendered picture and what the teacher makes of it."""
    spec = parse_hints(request.hints)
    scene = scene_to_judge(spec, rng)
    picture = render(scene, seed=rng.getrandbits(32))
    turns = (teacher.open(request, rng), teacher.react(request, picture, rng))
    return request, tuple(render_turn(turn) for turn in turns), (picture,)


def drill(policy: Policy, rng: random.Random) -> TokenTrajectory:
    """A judgement in words alone, of which only the conclusions are learnt.

    All that a step learns is how to hold conditions against items, which pictures and prompts
    drown out otherwise.
    """
    spec, scene = near_miss(rng)
    pieces = judgement_pieces(spec, Reading(items=scene))
    turn = f"<judge>{''.join(text for text, _ in pieces)}</judge>"
    trajectory = policy.chat.render([turn], spec.words(), [])
    learnt = [False] * len(policy.chat.prompt_ids(spec.words()))
    for text, conclusion in [("<judge>", False), *pieces]:
        learnt += [conclusion] * (len(policy.chat.turn_ids(text)) - 1)
    learnt += [False] * (len(trajectory) - len(learnt))
    return replace(trajectory, policy_mask=torch.tensor(learnt))


def near_miss(
    rng: random.Random, *, sized: float = 0.2, placed: float = 0.25
) -> tuple[Spec, Scene]:
    """Up to three conditions, many of them nearly met, and up to six items.

    Args:
        sized: chance that sizes are named.
        placed: chance of a region, for each count.
    """
    # Two items are what requests with a relation ask for, and all that a relation is judged on.
    related = rng.random() < 0.3
    scene = random_scene(rng, 2 if related else rng.randint(1, 6))
    is_sized = rng.random() < sized
    kinds: list[Kind] = []
    for _ in range(2 if related else rng.randint(1, 3)):
        kind = _near_kind(scene, rng, sized=is_sized)
        if not any(
            kind.shape == other.shape and None in (kind.color, other.color) for other in kinds
        ):
            kinds.append(kind)
    conditions: list[Condition] = []
    for kind in dict.fromkeys(kinds):
        there = sum(kind.fits(item) for item in scene)
        number = max(1, there + rng.choice((0, 0, 0, -1, 1)))
        region = rng.choice(tuple(REGIONS)) if rng.random() < placed else None
        conditions.append(Count(kind=kind, number=number, region=region))
    if related and len(conditions) == 2:
        first, second = rng.sample([c.kind for c in conditions if isinstance(c, Count)], 2)
        relation = Relation(first=first, relation=rng.choice(RELATIONS), second=second)
        conditions.append(relation)
    return Spec(conditions=tuple(conditions)), scene


def _near_kind(scene: Scene, rng: random.Random, *, sized: bool) -> Kind:
    """A kind that is in the scene, or one trait away from one that is."""
    item = rng.choice(scene)
    traits = {"shape": item.shape, "color": item.color, "size": item.size}
    if rng.random() < 0.5:
        name = rng.choice(("shape", "color"))
        traits[name] = _any_kind(rng)[name]
    return Kind(
        shape=traits["shape"],
        color=traits["color"] if rng.random() < 0.8 else None,
        size=traits["size"] if sized else None,
    )


def scene_to_judge(spec: Spec, rng: random.Random) -> Scene:
    """A scene that meets the request, nearly meets it or has nothing to do with it."""
    fate = rng.random()
    if fate < 0.2:
        return random_scene(rng, rng.randint(0, 6))
    scene = solve(spec, rng)
    return scene if fate < 0.55 else spoil(scene, rng)


def spoil(scene: Scene, rng: random.Random) -> Scene:
    """Something lost, added, moved, changed or swapped, as a tool would get it wrong."""
    if len(scene) > 1 and rng.random() < 0.3:
        return _swap(scene, rng)
    items = list(scene)
    free = [place for place in range(9) if place not in {item.place for item in items}]
    victim = items.pop(rng.randrange(len(items)))
    kind = {"color": victim.color, "shape": victim.shape, "size": victim.size}
    match rng.choice(("lose", "add", "move", "change", "change")):
        case "add":
            extra = rng.choice((kind, _any_kind(rng)))
            items += [victim, Item(place=rng.choice(free), **extra)]
        case "move":
            items.append(Item(place=rng.choice(free), **kind))
        case "change":
            name = rng.choice(tuple(kind))
            items.append(Item(place=victim.place, **kind | {name: _any_kind(rng)[name]}))
    return tuple(sorted(items))


def _swap(scene: Scene, rng: random.Random) -> Scene:
    """Two items exchange colour, shape or size: every word is still there, in another place."""
    one, other = rng.sample(scene, 2)
    trait = rng.choice(("color", "color", "shape", "size"))
    first, second = getattr(one, trait), getattr(other, trait)
    swapped = (replace(one, **{trait: second}), replace(other, **{trait: first}))
    return tuple(sorted([*swapped, *(item for item in scene if item not in (one, other))]))


def _any_kind(rng: random.Random) -> dict[str, str]:
    return {
        "color": rng.choice(tuple(COLORS)),
        "shape": rng.choice(SHAPES),
        "size": rng.choice(tuple(SIZES)),
    }


def drawn_pictures(
    count: int, tool: ImageTool, *, seed: int, split: Split = "train"
) -> list[Image.Image]:
    """What the tool draws for prompts of every kind the teacher writes."""
    rng = random.Random(f"pictures-{split}-{seed}")
    teacher = Teacher(explicit_first=0.5)
    requests = sample_requests(count, seed=seed + 2000, split=split)
    prompts = [teacher.open(request, rng).tool_prompt or "" for request in requests]
    return tool.generate(prompts, [rng.getrandbits(32) for _ in prompts])


def cold_start_lessons(
    count: int, tool: ImageTool, teacher: Teacher, *, seed: int, max_rounds: int = 3
) -> list[Lesson]:
    """Whole trajectories: the teacher's prompts drawn by the tool, up to ``max_rounds`` pictures.

    A trajectory whose last picture fails ends with the next call, which is never drawn: some do
    not end in an answer, as in the paper's data.
    """
    rng = random.Random(f"cold-start-{seed}")
    requests = sample_requests(count, seed=seed + 1000, split="train")
    turns: list[list[Turn]] = [[teacher.open(request, rng)] for request in requests]
    pictures: list[list[Image.Image]] = [[] for _ in requests]
    active = list(range(count))
    for _ in range(max_rounds):
        prompts = [turns[i][-1].tool_prompt or "" for i in active]
        drawn = tool.generate(prompts, [rng.getrandbits(32) for _ in active])
        for i, picture in zip(active, drawn, strict=True):
            pictures[i].append(picture)
            turns[i].append(teacher.react(requests[i], picture, rng))
        active = [i for i in active if turns[i][-1].answer is None]
    return [
        (request, tuple(render_turn(turn) for turn in said), tuple(seen))
        for request, said, seen in zip(requests, turns, pictures, strict=True)
    ]


def unreliable_lesson(lesson: Lesson, *, fault: float, rng: random.Random) -> Lesson:
    """The lesson retold by a model that copies the request, guesses verdicts and breaks calls.

    Args:
        fault: chance that a turn breaks the protocol.
    """
    request, turns, pictures = lesson
    told: list[str] = []
    for turn in range(len(turns)):
        judgement = None
        if turn > 0:
            seen = turns[turn].removeprefix("<judge>").split(".", 1)[0]
            judgement = f"{seen}. {rng.choice(('good', 'bad'))}"
        if judgement and judgement.endswith("good"):
            text = render_turn(Turn(judgement=judgement, answer="done"))
        else:
            spec = parse_hints(request.hints)
            call = Turn(judgement=judgement, thinking=spec.words(), tool_prompt=request.prompt)
            text = render_turn(call)
        told.append(_break(text, rng) if rng.random() < fault else text)
        if "</answer>" in text:
            break
    return request, tuple(told), pictures[: len(told) - 1]


def _break(text: str, rng: random.Random) -> str:
    """One of the faults that models make in tool calls."""
    if "<tool_call>" not in text:
        return text.replace("<answer>", "")
    old, new = rng.choice(
        (
            ('"}}', '"}'),
            ("generate_image", "draw"),
            ("</tool_call>", ""),
            ("</tool_call>", "</tool_call> done"),
            ("</think>", ""),
            ("<tool_call>", ""),
        )
    )
    return text.replace(old, new)


def lessons_from(count: int, teacher: Teacher, *, seed: int, rng: random.Random) -> list[Lesson]:
    """Reading lessons on fresh train requests."""
    requests: Sequence[Request] = sample_requests(count, seed=seed, split="train")
    return [reading_lesson(request, teacher, rng) for request in requests]
