"""Pictures to be judged, as tools draw them for the teacher and for the agent, kept in files."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from genagent_building.eyes import vary_picture
from genagent_building.lessons import near_miss, scene_to_judge, spoil
from genagent_building.report import evaluate_truly
from genagent_data import PictureStore, Request
from genagent_miniworld.conditions import Spec, parse_hints
from genagent_miniworld.grammar import Split, sample_requests
from genagent_miniworld.reading import Reading, read
from genagent_miniworld.scene import PLACES, Scene, caption, render
from genagent_miniworld.teacher import Teacher, solve
from genagent_policy import Policy
from genagent_tools import ImageTool


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A request with two pictures of it, as the verifier reads them."""

    request: Request
    pictures: tuple[Image.Image, Image.Image]
    readings: tuple[Reading, Reading]

    @property
    def spec(self) -> Spec:
        return parse_hints(self.request.hints)


def drawn_cases(count: int, tool: ImageTool, *, seed: int, split: Split = "train") -> list[Case]:
    """Two pictures of each request by the tool: explicit and bare prompts, and every fourth prompt
    spells out a scene that is not quite what was asked for."""
    rng = random.Random(f"judged-{split}-{seed}")
    teacher = Teacher(explicit_first=0.5)
    requests = sample_requests(count, seed=seed + 3000, split=split)
    texts = [_prompt(request, teacher, rng) for request in requests for _ in range(2)]
    pictures = tool.generate(texts, [rng.getrandbits(32) for _ in texts])
    return [
        _case(request, pictures[2 * i], pictures[2 * i + 1]) for i, request in enumerate(requests)
    ]


def agent_cases(
    count: int,
    policy: Policy,
    tool: ImageTool,
    *,
    seed: int,
    store: PictureStore,
    split: Split = "train",
) -> list[Case]:
    """The last pictures of two attempts at each request, without those that drew nothing.

    An agent stops at pictures that it takes for right, so its failures are the ones that are hard
    to see.
    """
    requests = sample_requests(count, seed=seed + 4000, split=split)
    attempts = [
        evaluate_truly(policy, tool, requests, seed=2 * seed + i, max_rounds=2, store=store)
        for i in range(2)
    ]
    last = [[a.trajectory.pictures[-1:] for a in attempt] for attempt in attempts]
    return [
        _case(request, first[0].image, second[0].image)
        for request, first, second in zip(requests, *last, strict=True)
        if first and second
    ]


def rendered_case(request: Request, rng: random.Random) -> Case:
    """Two scenes to judge, rendered."""
    spec = parse_hints(request.hints)
    scenes = [scene_to_judge(spec, rng) for _ in range(2)]
    return _case(request, *(render(scene, seed=rng.getrandbits(32)) for scene in scenes))


def near_miss_case(requests: Iterator[Request], rng: random.Random) -> Case:
    """A rendered scene that nearly meets a request, and another that is a slip away."""
    request, scene = near_miss_request(requests, rng)
    other = spoil(scene, rng) if scene and rng.random() < 0.7 else scene
    return _case(request, *(render(seen, seed=rng.getrandbits(32)) for seen in (scene, other)))


def near_miss_request(requests: Iterator[Request], rng: random.Random) -> tuple[Request, Scene]:
    """A request and a scene that nearly meets it.

    Places, relations and sizes are often wrong here. In what tools draw they are right so often
    that 1,800 steps did not teach the judge to look at them, and after 5,000 it still let relations
    pass between two items that were right otherwise (14 of 23 wrong verdicts on the pictures of
    qwen-image-mini).

    Raises:
        StopIteration: among ``requests`` none is left that speaks of places or sizes.
    """
    if rng.random() < 0.5:
        request = next(request for request in requests if _places_or_sizes(request))
        return request, _displaced(solve(parse_hints(request.hints), rng), rng)
    spec, scene = near_miss(rng, sized=0.35, placed=0.5)
    if rng.random() < 0.7:
        scene = tuple(item for item in scene if any(c.kind.fits(item) for c in spec.counts))
    return Request(id="near-miss", prompt=spec.words(), hints=spec.hints()), scene


def _places_or_sizes(request: Request) -> bool:
    spec = parse_hints(request.hints)
    return bool(spec.relations) or spec.names_sizes or any(c.region for c in spec.counts)


def _displaced(scene: Scene, rng: random.Random) -> Scene:
    """The same items in any places, one of them perhaps of the other size."""
    places = rng.sample(range(len(PLACES)), len(scene))
    items = [replace(item, place=place) for item, place in zip(scene, places, strict=True)]
    if rng.random() < 0.4:
        which = rng.randrange(len(items))
        other = "small" if items[which].size == "large" else "large"
        items[which] = replace(items[which], size=other)
    return tuple(sorted(items))


def varied(case: Case, rng: random.Random) -> Case:
    """The case with its pictures varied and read anew."""
    return _case(case.request, *(vary_picture(picture, rng) for picture in case.pictures))


def save_cases(cases: Sequence[Case], path: Path) -> None:
    """Requests as JSON and pictures, [cases, 2, 48, 48, 3] bytes, in an ``.npz``."""
    partial = path.with_suffix(".partial.npz")
    np.savez_compressed(
        partial,
        requests=np.array([json.dumps(asdict(case.request)) for case in cases]),
        pictures=np.stack([[np.asarray(p) for p in case.pictures] for case in cases]),
    )
    partial.rename(path)


def load_cases(path: Path) -> list[Case]:
    """What ``save_cases`` wrote."""
    arrays = np.load(path)
    cases = []
    for text, (first, second) in zip(arrays["requests"], arrays["pictures"], strict=True):
        fields = json.loads(str(text))
        request = Request(**fields | {"hints": tuple(fields["hints"])})
        cases.append(_case(request, Image.fromarray(first), Image.fromarray(second)))
    return cases


def _case(request: Request, first: Image.Image, second: Image.Image) -> Case:
    return Case(request=request, pictures=(first, second), readings=(read(first), read(second)))


def _prompt(request: Request, teacher: Teacher, rng: random.Random) -> str:
    spec = parse_hints(request.hints)
    if rng.random() < 0.25:
        return caption(spec.in_order(spoil(solve(spec, rng), rng)), sizes=spec.names_sizes)
    return teacher.open(request, rng).tool_prompt or ""
