"""Tools that paint, tools that fail, and the turns that call them."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from genagent_data import Request, Turn, render_turn
from genagent_tools import ToolError

FIRST = render_turn(Turn(thinking="t", tool_prompt="draw one"))
AGAIN = render_turn(Turn(judgement="one missing", thinking="more", tool_prompt="draw two"))
DONE = render_turn(Turn(judgement="all there", answer="done"))
FAILS = render_turn(Turn(thinking="t", tool_prompt="unlucky"))


class Painter:
    """A tool whose picture follows from prompt and seed; refuses what is unlucky."""

    def __init__(self) -> None:
        self.calls: list[list[tuple[str, int]]] = []

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        self.calls.append(list(zip(prompts, seeds, strict=True)))
        if "unlucky" in prompts:
            raise ToolError("out of paint")
        return [painted(prompt, seed) for prompt, seed in self.calls[-1]]


def painted(prompt: str, seed: int) -> Image.Image:
    rng = np.random.default_rng([seed, *prompt.encode()])
    return Image.fromarray(rng.integers(0, 256, (48, 48, 3), dtype=np.uint8))


def calling(prompt: str) -> str:
    """A first turn that asks for this picture."""
    return render_turn(Turn(thinking="t", tool_prompt=prompt))


def requests(count: int) -> list[Request]:
    """Two at each prompt."""
    return [Request(id=f"r{index}", prompt=f"picture {index // 2}") for index in range(count)]
