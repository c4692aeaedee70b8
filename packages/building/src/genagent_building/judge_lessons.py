"""What the judge is taught from: questions in the very words of ``genagent_rewards.prompts``, and
reasons that read a picture cell by cell, hold it against the checklist and end in a verdict.

A pairwise reason adds up misses picture by picture, so that the verdict compares two numbers.
"""

from collections.abc import Sequence

import torch
from PIL import Image

from genagent_building.judge_cases import Case
from genagent_data import Request
from genagent_miniworld.conditions import REGIONS, Spec, parse_hints
from genagent_miniworld.reading import Reading
from genagent_miniworld.scene import PLACES, Item
from genagent_miniworld.teacher import EXTRA, OFF
from genagent_policy import Policy, TokenTrajectory, no_pictures
from genagent_rewards import prompts

Pieces = list[tuple[str, bool]]
"""Text in pieces; those marked True are conclusions from the words before them."""


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

    No conclusion takes two steps at once. An item's region is said again before it is judged, and
    of a relation the rows or columns are said before their order is. A judge of this size that had
    to find and compare in one go got regions and relations wrong in one picture of fifteen after
    2,800 steps, and one that said places instead of columns guessed left and right after 5,000.
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
        by_row = relation.relation in ("above", "below")
        lines = " to".join(
            "".join(
                f" {(item.row if by_row else item.column) + 1}"
                for item in reading.items
                if kind.fits(item)
            )
            or " nothing"
            for kind in (relation.first, relation.second)
        )
        pieces += [(f". {relation.words()}", False), (lines, True)]
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
        empty, _ = no_pictures(self._chat.patch_dim)
        return TokenTrajectory(
            ids=torch.tensor(ids),
            policy_mask=torch.tensor(learnt),
            logprobs=torch.zeros(len(ids)),
            pixel_values=torch.cat(pixels) if pixels else empty,
            grids=grids,
        )
