"""What each stage has made of each chunk of requests, on disk: whole, or not there.

stages/1-hard/000012.jsonl         a line for each draft that came in: its fate
stages/1-hard/000012.figures.json  counts and seconds; with it the chunk is done
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from genagent_data.jsonl import read_jsonl, write_jsonl
from genagent_data.synthesis.draft import Draft, Fate, fate_from_row, fate_to_row
from genagent_data.synthesis.funnel import StageFigures, figures_from_row


class Chunks:
    """The fates of chunks by stage and number. Raises OSError where a file cannot be written."""

    def __init__(self, root: Path, stages: Sequence[str]) -> None:
        self._folders = [root / f"{number}-{name}" for number, name in enumerate(stages)]
        for folder in self._folders:
            folder.mkdir(parents=True, exist_ok=True)

    def figures(self, stage: int, chunk: int) -> StageFigures | None:
        """Of a chunk that is done; None where it is not."""
        path = self._path(stage, chunk, "figures.json")
        return read_jsonl(path, figures_from_row)[0] if path.exists() else None

    def fates(self, stage: int, chunk: int) -> list[Fate]:
        """Of a chunk that is done, in order.

        Raises:
            ValueError: a line is none of ours; names file and line.
            OSError: the file cannot be read.
        """
        return read_jsonl(self._path(stage, chunk, "jsonl"), fate_from_row)

    def drafts(self, stage: int, chunk: int) -> list[Draft]:
        """Those that were kept."""
        return [fate for fate in self.fates(stage, chunk) if isinstance(fate, Draft)]

    def kept(self, stage: int, chunks: int) -> Iterator[tuple[int, Draft]]:
        """Chunk and draft of all that a stage has kept of so many chunks, a chunk at a time."""
        for chunk in range(chunks):
            for draft in self.drafts(stage, chunk):
                yield chunk, draft

    def write(self, stage: int, chunk: int, fates: Sequence[Fate], figures: StageFigures) -> None:
        """The chunk is done when this returns."""
        write_jsonl(self._path(stage, chunk, "jsonl"), map(fate_to_row, fates))
        write_jsonl(self._path(stage, chunk, "figures.json"), [asdict(figures)])

    def _path(self, stage: int, chunk: int, suffix: str) -> Path:
        return self._folders[stage] / f"{chunk:06d}.{suffix}"
