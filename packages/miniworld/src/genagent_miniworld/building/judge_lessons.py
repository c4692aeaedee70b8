"""What the judge is taught from: questions in the very words of ``genagent_rewards.prompts``, and
reasons that read a picture cell by cell, hold it against the checklist and end in a verdict.

A pairwise reason adds up misses picture by picture, so that the verdict compares two numbers.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from genagent_data import Request
from genagent_miniworld.building.lessons import near_miss, scene_to_judge, spoil
from genagent_miniworld.conditions import REGIONS, Spec, parse_hints
from genagent_miniworld.grammar import Split, sample_requests
from genagent_miniworld.reading import Reading, read
from genagent_miniworld.scene import PLACES, Item, caption, render
from genagent_miniworld.teacher import EXTRA, OFF, Teacher, solve
from genagent_policy import Policy, TokenTrajectory
from genagent_rewards import prompts
from genagent_tools import ImageTool

Pieces = list[tuple[str, bool]]
"""Text in pieces; those marked True are conclusions from the words before them."""


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


def _prompt(request: Request, teacher: Teacher, rng: random.Random) -> str:
    spec = parse_hints(request.hints)
    if rng.random() < 0.25:
        return caption(spec.in_order(spoil(solve(spec, rng), rng)), sizes=spec.names_sizes)
    return teacher.open(request, rng).tool_prompt or ""


def rendered_case(request: Request, rng: random.Random) -> Case:
    """Two scenes to judge, rendered."""
    spec = parse_hints(request.hints)
    scenes = [scene_to_judge(spec, rng) for _ in range(2)]
    return _case(request, *(render(scene, seed=rng.getrandbits(32)) for scene in scenes))


def near_miss_case(rng: random.Random) -> Case:
    """Conditions that are nearly met by one rendered scene, and by another that is a slip away.

    Places and relations are wrong here as often as right; in what tools draw they are right so
    often that 1,800 steps did not teach the judge to look at them.
    """
    spec, scene = near_miss(rng, sized=0.35, placed=0.5)
    request = Request(id="near-miss", prompt=spec.words(), hints=spec.hints())
    other = spoil(scene, rng) if rng.random() < 0.7 else scene
    return _case(request, *(render(seen, seed=rng.getrandbits(32)) for seen in (scene, other)))


def varied(case: Case, rng: random.Random) -> Case:
    """The case with its pictures mirrored, shifted, in another light and grainier, and read anew.

    The tools' pictures are few and a judge learns them by heart; what the verifier reads in a
    varied one is true of it.
    """
    return _case(case.request, *(_vary(picture, rng) for picture in case.pictures))


def _vary(picture: Image.Image, rng: random.Random) -> Image.Image:
    pixels = np.asarray(picture, np.float32)
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
    shift = rng.randint(-1, 1), rng.randint(-1, 1)
    pixels = np.roll(pixels, shift, axis=(0, 1))
    noise = np.random.default_rng(rng.getrandbits(32)).normal(0, rng.uniform(0, 5), pixels.shape)
    pixels = (pixels - 128) * rng.uniform(0.93, 1.07) + 128 + rng.uniform(-6, 6) + noise
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _case(request: Request, first: Image.Image, second: Image.Image) -> Case:
    return Case(request=request, pictures=(first, second), readings=(read(first), read(second)))


def point_reply(spec: Spec, reading: Reading) -> Pieces:
    """Reason and verdict on one picture.

    Example: ``"seen: top red circle 1, left blue square extra. 2 red circles 1 no. nothing else 1
    no. <verdict>no</verdict>"``
    """
    pieces, _ = _held(spec, reading, adds_up=False)
    # Without the first word the first place is another token than in the checklist, and half of
    # all wrong verdicts were about that.
    return [("seen:", False), *pieces, *_verdict("yes" if spec.met(reading) else "no")]


def pair_reply(spec: Spec, readings: Sequence[Reading]) -> Pieces:
    """Reason and verdict on two pictures.

    Example: ``"first: top red circle 1. 2 red circles 1 misses 1 sum 1. nothing else 0 misses 0 sum
    1. second: nothing. 2 red circles 0 misses 2 sum 2. nothing else 0 misses 0 sum 2.
    <verdict>first</verdict>"``
    """
    pieces: Pieces = []
    misses = []
    for name, reading in zip(("first:", " second:"), readings, strict=True):
        held, total = _held(spec, reading, adds_up=True)
        pieces += [(name, False), *held]
        misses.append(total)
    first, second = misses
    choice = "tie" if first == second else "first" if first < second else "second"
    return [*pieces, *_verdict(choice)]


def _held(spec: Spec, reading: Reading, *, adds_up: bool) -> tuple[Pieces, int]:
    """Items with the condition each counts for, then every condition with what it found; the sum of
    misses.

    No conclusion takes two steps at once. An item's region is said again before it is judged, and a
    relation's places are said before their order: a judge of this size that had to find and compare
    in one go got regions and relations wrong in one picture of fifteen after 2,800 steps.
    """
    pieces, marks = _items(spec, reading)
    total = 0

    def conclude(error: int) -> None:
        nonlocal total
        total += error
        if adds_up:
            pieces.extend([(" misses", False), (f" {error}", True), (" sum", False)])
            pieces.append((f" {total}", True))
        else:
            pieces.append((" no" if error else " yes", True))

    for number, count in enumerate(spec.counts, start=1):
        found = marks.count(str(number))
        pieces += [(f". {count.words()}", False), (f" {found}", True)]
        off = marks.count(f"{number} {OFF}")
        if count.region:
            pieces += [(f" {OFF}", False), (f" {off}", True)]
        conclude(abs(count.number - found) + off)
    for relation in spec.relations:
        places = " to".join(
            "".join(f" {PLACES[item.place]}" for item in reading.items if kind.fits(item))
            or " nothing"
            for kind in (relation.first, relation.second)
        )
        pieces += [(f". {relation.words()}", False), (places, True)]
        conclude(relation.error(reading.items))
    extras = marks.count(EXTRA)
    pieces += [(". nothing else", False), (f" {extras}", True)]
    conclude(extras)
    return [*pieces, (".", False)], total


def _items(spec: Spec, reading: Reading) -> tuple[Pieces, list[str]]:
    """What is seen, place by place, and each thing's mark: the number of the count it belongs to,
    with ``OFF`` behind it outside that count's region, or ``EXTRA``."""
    seen: list[tuple[int, str, Item | None]] = [(place, "blob", None) for place in reading.unclear]
    for item in reading.items:
        size = f"{item.size} " if spec.names_sizes else ""
        seen.append((item.place, f"{size}{item.color} {item.shape}", item))
    pieces: Pieces = []
    marks = []
    for place, words, item in sorted(seen, key=lambda thing: thing[:2]):
        pieces.append((f"{',' if pieces else ''} {PLACES[place]} {words}", False))
        fitting = [
            (number, count)
            for number, count in enumerate(spec.counts, start=1)
            if item is not None and count.kind.fits(item)
        ]
        if not fitting:
            pieces.append((f" {EXTRA}", True))
            marks.append(EXTRA)
            continue
        number, count = fitting[0]
        is_there = count.region is None or place in REGIONS[count.region]
        pieces.append((f" {number}", True))
        if count.region:
            pieces += [(f" {count.region}", True), (" there" if is_there else f" {OFF}", True)]
        marks.append(str(number) if is_there else f"{number} {OFF}")
    return pieces or [(" nothing", False)], marks


def _verdict(choice: str) -> Pieces:
    return [("\n", False), (f"<verdict>{choice}", True), ("</verdict>", False)]


class JudgeChat:
    """Questions and replies as a chat server renders them: the processor's own chat template."""

    def __init__(self, policy: Policy) -> None:
        self._chat = policy.chat
        self._processor = policy.processor

    def point(self, case: Case, which: int) -> TokenTrajectory:
        """The first (0) or second (1) picture of a case, asked about alone."""
        picture, reading = case.pictures[which], case.readings[which]
        text = prompts.point_text(case.request.prompt, case.request.hints)
        return self._render([picture, text], point_reply(case.spec, reading))

    def pair(self, case: Case, *, swapped: bool) -> TokenTrajectory:
        """Both pictures of a case, in either order."""
        order = (1, 0) if swapped else (0, 1)
        first, second = (case.pictures[i] for i in order)
        text = prompts.pair_text(case.request.prompt, case.request.hints)
        parts = [prompts.FIRST_PICTURE, first, prompts.SECOND_PICTURE, second, text]
        return self._render(parts, pair_reply(case.spec, [case.readings[i] for i in order]))

    def drill(self, request: Request, readings: Sequence[Reading]) -> TokenTrajectory:
        """A reply to a question without its pictures, of which only the conclusions are learnt."""
        spec = parse_hints(request.hints)
        if len(readings) == 1:
            text, reply = prompts.point_text, point_reply(spec, readings[0])
        else:
            text, reply = prompts.pair_text, pair_reply(spec, readings)
        return self._render([text(request.prompt, request.hints)], reply, conclusions_only=True)

    def _render(
        self, parts: Sequence[str | Image.Image], reply: Pieces, *, conclusions_only: bool = False
    ) -> TokenTrajectory:
        pictures = [part for part in parts if not isinstance(part, str)]
        content = [
            {"type": "text", "text": part} if isinstance(part, str) else {"type": "image"}
            for part in parts
        ]
        messages = [
            {"role": "system", "content": prompts.SYSTEM},
            {"role": "user", "content": content},
        ]
        text = self._processor.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        assert isinstance(text, str)
        pixels, grids = self._chat.encode_pictures(pictures)
        pads = "<|image_pad|>" * 9  # One a cell.
        tokenizer = self._processor.tokenizer
        ids = tokenizer.encode(text.replace("<|image_pad|>", pads), add_special_tokens=False)
        learnt = [False] * len(ids)
        for piece, conclusion in [*reply, ("<|im_end|>", False)]:
            added = tokenizer.encode(piece, add_special_tokens=False)
            ids += added
            learnt += [conclusion or not conclusions_only] * len(added)
        empty = torch.zeros(0, self._chat.patch_dim)
        return TokenTrajectory(
            ids=torch.tensor(ids),
            policy_mask=torch.tensor(learnt),
            logprobs=torch.zeros(len(ids)),
            round_ids=torch.zeros(len(ids), dtype=torch.long),
            pixel_values=torch.cat(pixels) if pixels else empty,
            grids=grids,
        )
