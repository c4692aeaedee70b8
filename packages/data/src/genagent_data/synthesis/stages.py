"""The stages of GenAgent's data synthesis (2601.18543, section 3.2), each over a chunk of drafts.

A stage gives each draft its fate, in order: the draft with something more, or why it is dropped.
Drafts that have ended pass through. What a stage gives follows from its drafts and the seed alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from genagent_data.seeds import derive_seed
from genagent_data.synthesis.draft import Draft, Drop, Fate, format_error, turn_text
from genagent_data.synthesis.mentions import HINT, RULES, concludes, mentioned
from genagent_data.synthesis.painter import Meter, Painter, Turns
from genagent_data.synthesis.teacher import Call, Failure, Judgement, Teacher
from genagent_rewards import (
    ComparesPictures,
    JudgesPictures,
    PairQuestion,
    PointQuestion,
    Verdict,
)
from genagent_rewards.verdict import why_absent
from genagent_tools import ToolError


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """What the stages work with."""

    teacher: Teacher
    painter: Painter
    point: JudgesPictures
    pair: ComparesPictures
    judging: Turns
    """In which the judges are asked."""
    plain: int
    """Pictures of the bare request that must all fail."""
    seed: int


Stage = Callable[[Bench, Sequence[Draft], Meter], list[Fate]]


def hard(bench: Bench, drafts: Sequence[Draft], meter: Meter) -> list[Fate]:
    """Kept where every plain picture of the request itself fails.

    One picture after another: a request that the first solves needs no second.
    """
    fates: list[Fate] = list(drafts)
    for number in range(bench.plain):
        places = [place for place, fate in enumerate(fates) if isinstance(fate, Draft)]
        left = [drafts[place] for place in places]
        prompts = [draft.request.prompt for draft in left]
        drawn = _drawn(bench, left, prompts, f"plain {number}", meter)
        verdicts = _verdicts(bench, left, drawn, meter)
        for place, draft, picture, verdict in zip(places, left, drawn, verdicts, strict=True):
            if isinstance(picture, ToolError):
                fates[place] = _dropped(draft, "tool_failed", str(picture))
            elif isinstance(verdict, str):
                fates[place] = _dropped(draft, "no_verdict", verdict)
            elif verdict.choice == "yes":
                fates[place] = _dropped(draft, "solved_plainly")
    return fates


def first_call(bench: Bench, drafts: Sequence[Draft], meter: Meter) -> list[Fate]:
    """The teacher writes the first thought and prompt."""
    meter.calls["teacher"] += len(drafts)
    said = bench.teacher.open([draft.request for draft in drafts])
    return [_called(draft, call) for draft, call in zip(drafts, said, strict=True)]


def draw(bench: Bench, drafts: Sequence[Draft], meter: Meter) -> list[Fate]:
    """The tool draws the latest prompt."""
    prompts = [draft.calls[-1].prompt for draft in drafts]
    number = len(drafts[0].calls) if drafts else 0
    drawn = _drawn(bench, drafts, prompts, f"draw {number}", meter)
    return [
        _dropped(draft, "tool_failed", str(picture))
        if isinstance(picture, ToolError)
        else replace(draft, pictures=(*draft.pictures, picture))
        for draft, picture in zip(drafts, drawn, strict=True)
    ]


def judge(bench: Bench, drafts: Sequence[Draft], meter: Meter) -> list[Fate]:
    """The teacher judges the first picture; where it passes, the trajectory ends with an answer.

    The pointwise judge must agree: an answer over a picture that fails, and a second try after one
    that passes, contradict what is in the picture.
    """
    return _judged(bench, drafts, meter, overruled="contradiction")


def reflect(bench: Bench, drafts: Sequence[Draft], meter: Meter) -> list[Fate]:
    """Where it was wrong, the teacher writes another thought and prompt, hinted at by the reference
    picture or the checklist."""
    return _where_open(drafts, lambda left: _reflected(bench, left, meter))


def redraw(bench: Bench, drafts: Sequence[Draft], meter: Meter) -> list[Fate]:
    """The second picture, kept where it beats the first."""
    return _where_open(drafts, lambda left: _improved(bench, left, meter))


def close(bench: Bench, drafts: Sequence[Draft], meter: Meter) -> list[Fate]:
    """The teacher judges the second picture: right ends with an answer, wrong with a call that is
    never drawn."""

    def closed(left: Sequence[Draft]) -> list[Fate]:
        fates = _judged(bench, left, meter, overruled="second_fails")
        return _where_open(fates, lambda wrong: _reflected(bench, wrong, meter))

    return _where_open(drafts, closed)


STAGES: dict[str, Stage] = {
    "hard": hard,
    "open": first_call,
    "draw": draw,
    "judge": judge,
    "reflect": reflect,
    "redraw": redraw,
    "close": close,
}
"""In their order, by the names that folders and figures have."""

OUTAGES = ("tool_failed", "no_verdict", "teacher_silent")
"""What says nothing of a request, only of a service."""


def _where_open(fates: Sequence[Fate], work: Callable[[Sequence[Draft]], list[Fate]]) -> list[Fate]:
    """``work`` on the drafts that have not ended; all others as they are."""
    done = list(fates)
    places = [
        place for place, fate in enumerate(done) if isinstance(fate, Draft) and fate.ending is None
    ]
    left = [fate for place in places if isinstance(fate := done[place], Draft)]
    if left:
        for place, fate in zip(places, work(left), strict=True):
            done[place] = fate
    return done


def _drawn(
    bench: Bench, drafts: Sequence[Draft], prompts: Sequence[str], purpose: str, meter: Meter
) -> list[str | ToolError]:
    seeds = [derive_seed(bench.seed, draft.request.id, purpose) for draft in drafts]
    return bench.painter.draw(prompts, seeds, meter)


def _verdicts(
    bench: Bench, drafts: Sequence[Draft], pictures: Sequence[str | ToolError], meter: Meter
) -> list[Verdict | str]:
    """The pointwise verdict on each picture, or why there is none."""
    questions = [
        PointQuestion(
            request=draft.request.prompt,
            hints=draft.request.hints,
            picture=bench.painter.store.get(picture),
        )
        for draft, picture in zip(drafts, pictures, strict=True)
        if isinstance(picture, str)
    ]
    meter.calls["judge"] += len(questions)
    given = bench.judging.take(lambda: bench.point.judge(questions), meter)
    answers = iter(zip(questions, given, strict=True))
    verdicts: list[Verdict | str] = []
    for picture in pictures:
        if not isinstance(picture, str):
            verdicts.append("there is no picture")
            continue
        question, verdict = next(answers)
        verdicts.append(verdict or why_absent(bench.point, question) or "no verdict")
    return verdicts


def _judged(bench: Bench, drafts: Sequence[Draft], meter: Meter, *, overruled: str) -> list[Fate]:
    """With the teacher's judgement on the last picture, where the judge is of the same opinion.

    Args:
        overruled: the reason where the teacher says right and the judge does not.
    """
    store = bench.painter.store
    meter.calls["teacher"] += len(drafts)
    said = bench.teacher.judge([draft.attempt(store) for draft in drafts])
    fates = [_with_judgement(draft, one) for draft, one in zip(drafts, said, strict=True)]
    places = [place for place, fate in enumerate(fates) if isinstance(fate, Draft)]
    left = [fate for fate in fates if isinstance(fate, Draft)]
    verdicts = _verdicts(bench, left, [draft.pictures[-1] for draft in left], meter)
    for place, draft, verdict in zip(places, left, verdicts, strict=True):
        right = draft.judgements[-1].right
        if isinstance(verdict, str):
            fates[place] = _dropped(draft, "no_verdict", verdict)
        elif right and verdict.choice != "yes":
            fates[place] = _dropped(draft, overruled, verdict.reason)
        elif not right and verdict.choice == "yes":
            fates[place] = _dropped(draft, "contradiction", "the judge passes the picture")
    return fates


def _with_judgement(draft: Draft, said: Judgement | Failure) -> Fate:
    if isinstance(said, Failure):
        return _dropped(draft, f"teacher_{said.why}", said.detail)
    words = said.words
    error = format_error(turn_text(judgement=said), pictures=len(draft.pictures))
    if error is not None:
        return _dropped(draft, f"format_{error}", words)
    if mention := _mention(draft, words):
        return mention
    if concludes(words) not in (None, said.right):
        verdict = "right" if said.right else "wrong"
        return _dropped(draft, "contradiction", f"the verdict is {verdict}, the words: {words}")
    return replace(draft, judgements=(*draft.judgements, said))


def _reflected(bench: Bench, drafts: Sequence[Draft], meter: Meter) -> list[Fate]:
    store = bench.painter.store
    meter.calls["teacher"] += len(drafts)
    said = bench.teacher.reflect([draft.attempt(store) for draft in drafts])
    return [_called(draft, call) for draft, call in zip(drafts, said, strict=True)]


def _called(draft: Draft, said: Call | Failure) -> Fate:
    if isinstance(said, Failure):
        return _dropped(draft, f"teacher_{said.why}", said.detail)
    judgement = draft.judgements[-1] if draft.judgements else None
    text = turn_text(judgement=judgement, call=said)
    error = format_error(text, pictures=len(draft.pictures))
    if error is not None:
        return _dropped(draft, f"format_{error}", text)
    if mention := _mention(draft, f"{said.thinking} {said.prompt}"):
        return mention
    if said.prompt in (call.prompt for call in draft.calls):
        detail = f"what was judged wrong is tried again: {said.prompt}"
        return _dropped(draft, "contradiction", detail)
    return replace(draft, calls=(*draft.calls, said))


def _improved(bench: Bench, drafts: Sequence[Draft], meter: Meter) -> list[Fate]:
    fates = draw(bench, drafts, meter)
    asked = [
        (place, *_pair(bench, fate))
        for place, fate in enumerate(fates)
        if isinstance(fate, Draft) and not _is_same(fate)
    ]
    meter.calls["judge"] += len(asked)
    questions = [question for _, question, _ in asked]
    verdicts = bench.judging.take(lambda: bench.pair.compare(questions), meter)
    for place, fate in enumerate(fates):
        if isinstance(fate, Draft) and _is_same(fate):
            fates[place] = _dropped(fate, "second_loses", "the same picture again")
    for (place, question, later), verdict in zip(asked, verdicts, strict=True):
        draft = drafts[place]
        if verdict is None:
            detail = why_absent(bench.pair, question) or ""
            fates[place] = _dropped(draft, "no_verdict", detail)
        elif verdict.choice != later:
            fates[place] = _dropped(draft, "second_loses", verdict.reason)
    return fates


def _is_same(draft: Draft) -> bool:
    return any(one == other for one, other in pairwise(draft.pictures))


def _pair(bench: Bench, draft: Draft) -> tuple[PairQuestion, str]:
    """The comparison, and the choice that makes the second picture win; a coin gives the order."""
    earlier, later = (bench.painter.store.get(name) for name in draft.pictures[-2:])
    swapped = bool(derive_seed(bench.seed, draft.request.id, "pair") & 1)
    first, second = (later, earlier) if swapped else (earlier, later)
    question = PairQuestion(
        request=draft.request.prompt, hints=draft.request.hints, first=first, second=second
    )
    return question, "first" if swapped else "second"


def _mention(draft: Draft, text: str) -> Drop | None:
    for reason, pattern in (("mentions_hint", HINT), ("mentions_rules", RULES)):
        if found := mentioned(pattern, text, request=draft.request.prompt):
            return _dropped(draft, reason, f"says {found!r}")
    return None


def _dropped(draft: Draft, reason: str, detail: str = "") -> Drop:
    return Drop(id=draft.request.id, reason=reason, detail=" ".join(detail.split())[:300])
