"""One HTML page a request, and one that links to all: whole in themselves, without a script.

What people and models wrote is escaped and its control characters are shown as pictures of
themselves; a policy of content forbids whatever might get through: scripts, forms, and everything
from elsewhere.
"""

import base64
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from markupsafe import Markup

from genagent_data import Picture
from genagent_data.pictures import png_bytes
from genagent_serving.answered import Answered, ending_words
from genagent_tracking import Pages

TEMPLATES = Path(__file__).parent / "templates"
SMALL = 160
"""Pixels of the longer side up to which a picture is shown enlarged, with its pixels as squares."""


def request_page(answered: Answered, about: Mapping[str, str]) -> str:
    """The page of a request, its pictures within it.

    Args:
        about: policy, tool and the like, for its foot.

    Raises:
        OSError: a picture cannot be read.
    """
    trajectory = answered.trajectory
    verdicts = iter(trajectory.taken_for_right)
    rounds = [
        {
            "number": number,
            "thinking": round.thinking,
            "prompt": round.tool_prompt,
            "picture": round.picture and _shown(round.picture),
            "judgement": round.judgement,
            "taken_for_right": next(verdicts) if round.picture is not None else None,
            "counts": number == answered.counts,
            "tool_seed": round.seed,
            "turn_seconds": turn_seconds,
            "tool_seconds": round.tool_seconds,
        }
        for number, (round, turn_seconds) in enumerate(
            zip(trajectory.rounds, answered.turn_seconds, strict=False), 1
        )
    ]
    return render(
        "page.html.j2",
        answered=answered,
        rounds=rounds,
        ending=ending_words(trajectory),
        broken=answered.turns[-1] if trajectory.ending == "format_error" else None,
        about={**about, "seed of this request": str(answered.seed)},
    )


def index_page(rows: Sequence[Mapping[str, Any]], about: Mapping[str, str]) -> str:
    """The page that links to all requests of a folder, from the lines of its results."""
    without = sum(row["picture"] is None for row in rows)
    return render("index.html.j2", rows=rows, without=without, about=about)


def _shown(picture: Picture) -> dict[str, Any]:
    width, height = picture.size
    # A data URI of our own letters; nothing in it is a model's.
    data = base64.b64encode(png_bytes(picture)).decode("ascii")
    return {
        "source": Markup("data:image/png;base64,") + Markup(data),
        "width": width,
        "height": height,
        "is_small": max(width, height) <= SMALL,
    }


def render(template: str, **values: Any) -> str:
    """A template of this package with its values escaped."""
    return _pages().render(template, **values)


@cache
def _pages() -> Pages:
    return Pages(TEMPLATES, styles=("style.css",))
