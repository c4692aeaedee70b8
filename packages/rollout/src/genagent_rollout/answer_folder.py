"""The answers of one strategy to a benchmark's requests, on disk as each comes.

    <folder>/
        cell.json      what the answers depend on
        answers.jsonl  an answer a line; pictures by name
        drawn.sqlite   which pictures were drawn, those of unfinished answers too

A process killed the next moment has lost nothing but the line it was writing. What a failed tool or
model ended says nothing of the strategy and is asked for again, and so is what ended with a model's
words cut off: under another limit it would go on, and under the same one the words are there.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from genagent_data import PictureStore, Request, Trajectory, derive_seed, write_text
from genagent_rewards import KeptAnswers
from genagent_rollout.agents import require_pictures
from genagent_rollout.strategies.strategy import (
    Answered,
    Strategy,
    answer_all,
    answered_from_row,
    answered_to_row,
)
from genagent_tools import AsyncImageTool, ImageTool
from genagent_worlds.kept_pictures import DRAWN, kept_tool
from genagent_worlds.outcomes import SERVICE_FAILURES

ANSWERS = "answers.jsonl"
"""Where answers lie in their folder."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerFolder:
    """A folder of answers to requests, by request id."""

    folder: Path
    pictures: PictureStore

    def read(self) -> dict[str, Answered]:
        """What is there; later answers stand for earlier ones.

        Raises:
            ValueError: a line is no answer; names file and line.
            OSError: the file cannot be read, or a picture is not in the store.
        """
        path = self.folder / ANSWERS
        answers: dict[str, Answered] = {}
        if not path.exists():
            return answers
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    break  # was being written
                try:
                    one = answered_from_row(json.loads(line), self.pictures)
                except (ValueError, TypeError) as error:
                    raise ValueError(
                        f"{path}:{number}: no answer ({error}); move the folder away"
                    ) from error
                answers[one.trajectory.request.id] = one
        return answers

    def opened(self) -> IO[bytes]:
        """The file, ready for more lines."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = (self.folder / ANSWERS).open("a+b")
        _cut_half_line(file)
        return file


def answer_kept(
    strategy: Strategy,
    tool: ImageTool | AsyncImageTool,
    requests: Sequence[Request],
    kept: AnswerFolder,
    *,
    about: Mapping[str, Any],
    seed: int,
    progress: Callable[[int, int], None],
    drawn: Callable[[int, int], None] | None = None,
    ended: Callable[[Answered], None] | None = None,
) -> list[Answered]:
    """Each request answered once, in their order; only those are asked for that are not there yet.

    Seeds follow from ``seed`` and the request's id, so that all strategies meet the same noise.

    Args:
        about: what the answers depend on, kept beside them for people.
        progress: told how many answers there are, and how many there will be.
        drawn: told of pictures as they come, see ``Activity``.
        ended: told of each fresh answer as it comes.

    Raises:
        ValueError: what was kept cannot be read.
        OSError: an answer or a picture cannot be written.
        ToolError: the tool draws nothing at all.
    """
    wanted = {request.id for request in requests}
    answers = {
        id: one for id, one in kept.read().items() if id in wanted and _is_final(one.trajectory)
    }
    missing = [request for request in requests if request.id not in answers]
    progress(len(requests) - len(missing), len(requests))
    if not missing:
        return [answers[request.id] for request in requests]
    with kept.opened() as file, KeptAnswers(kept.folder / DRAWN) as memory:
        write_text(kept.folder / "cell.json", json.dumps(about, indent=2))

        def has_ended(place: int, one: Answered) -> None:
            row = json.dumps(answered_to_row(one), ensure_ascii=False)
            file.write(row.encode() + b"\n")
            file.flush()
            answers[missing[place].id] = one
            progress(len(answers), len(requests))
            if ended is not None:
                ended(one)

        answer_all(
            strategy,
            kept_tool(tool, kept.pictures, memory),
            missing,
            seeds=[derive_seed(seed, "evaluation", request.id) for request in missing],
            store=kept.pictures,
            ended=has_ended,
            drawn=drawn,
        )
    # Those that a tool will not draw are asked for again each time, and no outage by themselves.
    require_pictures([answers[request.id].trajectory for request in requests])
    return [answers[request.id] for request in requests]


def _is_final(trajectory: Trajectory) -> bool:
    cut_off = (trajectory.error or "").endswith("_cut_off")  # writer_cut_off, see Attempt.hear
    return trajectory.ending not in SERVICE_FAILURES and not cut_off


def _cut_half_line(file: IO[bytes]) -> None:
    """Whoever was killed in the midst of a line leaves half of it."""
    file.seek(0)
    content_end = 0
    for line in file:
        if line.endswith(b"\n"):
            content_end += len(line)
    file.truncate(content_end)
    file.seek(0, 2)
