"""A trajectory in the making, as the stages hand it on, and what ends one early."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from genagent_data.pictures import PictureStore
from genagent_data.protocol import parse_turn
from genagent_data.record import Record
from genagent_data.request import Request
from genagent_data.synthesis.teacher import Call, Judgement, PartialTrajectory
from genagent_data.tool_syntax import write_call

ANSWER = "done"
"""What an answer says: the picture is the answer."""
ROUNDS = 2
"""Pictures of a trajectory; the paper's data has one round, or two."""

Ending = Literal["answer_1", "answer_2", "out_of_rounds"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """What has been written and drawn for a request so far; pictures by their names."""

    request: Request
    reference: str | None = None
    """Name of the reference picture in the store."""
    calls: tuple[Call, ...] = ()
    pictures: tuple[str, ...] = ()
    judgements: tuple[Judgement, ...] = ()

    @property
    def ending(self) -> Ending | None:
        """How it has ended; None while it has not."""
        if self.judgements and self.judgements[-1].right:
            return "answer_1" if len(self.judgements) == 1 else "answer_2"
        return "out_of_rounds" if len(self.calls) > ROUNDS else None

    @property
    def turns(self) -> tuple[str, ...]:
        """The agent's words so far, turn by turn."""
        turns = [turn_text(call=self.calls[0])] if self.calls else []
        for number, judgement in enumerate(self.judgements, start=1):
            if judgement.right:
                turns.append(turn_text(judgement=judgement))
            elif number < len(self.calls):
                turns.append(turn_text(judgement=judgement, call=self.calls[number]))
        return tuple(turns)

    def attempt(self, store: PictureStore) -> PartialTrajectory:
        """As the teacher is asked about it."""
        return PartialTrajectory(
            request=self.request,
            calls=self.calls,
            pictures=tuple(store.get(name) for name in self.pictures),
            judgements=self.judgements,
            reference=None if self.reference is None else store.get(self.reference),
        )

    def record(self, store: PictureStore, *, words: int | None) -> Record:
        """What is learnt from; the draft has ended. Raises OSError where a picture is gone."""
        pictures = tuple(store.get(name) for name in self.pictures)
        return Record(request=self.request, turns=self.turns, pictures=pictures, words=words)


@dataclass(frozen=True, kw_only=True, slots=True)
class Drop:
    """A request that is dropped, and why. Example: ``Drop(id="7", reason="second_loses")``"""

    id: str
    reason: str
    detail: str = field(default="", compare=False)
    """One line for a reader, where there is something to say."""


Fate = Draft | Drop


def turn_text(*, judgement: Judgement | None = None, call: Call | None = None) -> str:
    """The turn as it stands, which ``format_error`` may find fault with."""
    said = "" if judgement is None else f"<judge>{judgement.words}</judge>"
    if call is None:
        return f"{said}<answer>{ANSWER}</answer>"
    body = write_call(call.prompt, "hermes")
    return f"{said}<think>{call.thinking}</think><tool_call>{body}</tool_call>"


def format_error(text: str, *, pictures: int) -> str | None:
    """One of ``FORMAT_ERRORS``, or None for a turn as the protocol wants it."""
    return parse_turn(text, images_so_far=pictures, max_rounds=ROUNDS).error


def fate_to_row(fate: Fate) -> dict[str, Any]:
    """What JSON holds of it."""
    return {"draft" if isinstance(fate, Draft) else "drop": asdict(fate)}


def fate_from_row(row: dict[str, Any]) -> Fate:
    """Raises ValueError for a row that is none of ours."""
    try:
        if "drop" in row:
            return Drop(**row["drop"])
        kept = row["draft"]
        request = kept["request"]
        return Draft(
            request=Request(**request | {"hints": tuple(request["hints"])}),
            reference=kept["reference"],
            calls=tuple(Call(**call) for call in kept["calls"]),
            pictures=tuple(kept["pictures"]),
            judgements=tuple(Judgement(**judgement) for judgement in kept["judgements"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a draft ({error})") from error
