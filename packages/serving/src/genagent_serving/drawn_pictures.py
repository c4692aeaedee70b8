"""Pictures that were paid for by requests that a kill has cut off."""

from pathlib import Path
from typing import Any

from genagent_data import KeptLines, Picture, PictureStore
from genagent_rollout.activity import Activity
from genagent_rollout.drawing import Drawing


class DrawnPictures:
    """A ``Drawing`` that draws nothing twice over the life of a folder.

    An agent that is asked again with the same seeds says the same again, up to float noise; a
    prompt that it has had drawn with the same seed is answered from the store.
    """

    def __init__(self, path: Path, drawing: Drawing, store: PictureStore) -> None:
        """
        Args:
            path: file of what was drawn, a line a picture.

        Raises:
            ValueError: it is damaged.
            OSError: it cannot be read or written.
        """
        self._drawing = drawing
        self._store = store
        self._lines = KeptLines(path, _drawn)
        self._names = dict(self._lines.earlier)

    @property
    def activity(self) -> Activity:
        return self._drawing.activity

    async def draw(self, prompt: str, *, seed: int) -> Picture:
        name = self._names.get((prompt, seed))
        kept = None if name is None else self._store.find(name)
        if kept is not None:
            return kept
        picture = await self._drawing.draw(prompt, seed=seed)
        self._lines.add({"prompt": prompt, "seed": seed, "picture": picture.name})
        return picture

    def close(self) -> None:
        self._lines.close()


def _drawn(row: dict[str, Any]) -> tuple[tuple[str, int], str]:
    try:
        return (row["prompt"], row["seed"]), row["picture"]
    except KeyError as error:
        raise ValueError(f"no {error}; the file is not one of pictures drawn") from error
