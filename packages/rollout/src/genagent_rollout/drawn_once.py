"""Pictures that several trajectories ask for alike, drawn once."""

import asyncio

from genagent_data import Picture
from genagent_rollout.activity import Activity
from genagent_rollout.drawing import Drawing


class DrawnOnce:
    """A ``Drawing`` that draws equal prompts of equal seeds once."""

    def __init__(
        self, drawing: Drawing, drawn: dict[tuple[str, int], asyncio.Task[Picture]]
    ) -> None:
        """
        Args:
            drawn: what has been asked for; shared by all who share pictures.
        """
        self.drawing = drawing
        self._drawn = drawn

    @property
    def activity(self) -> Activity:
        return self.drawing.activity

    async def draw(self, prompt: str, *, seed: int) -> Picture:
        """As ``Drawing``; what failed is asked for again by whoever comes later."""
        key = (prompt, seed)
        if key not in self._drawn:
            self._drawn[key] = asyncio.ensure_future(self.drawing.draw(prompt, seed=seed))
        task = self._drawn[key]
        try:
            # Whoever is cancelled takes the picture from nobody else.
            return await asyncio.shield(task)
        finally:
            has_failed = task.done() and (task.cancelled() or task.exception() is not None)
            # Whoever waited for it as well may have asked again by now.
            if has_failed and self._drawn.get(key) is task:
                self._drawn.pop(key)
