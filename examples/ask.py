"""One prompt to an agent, a picture out: the shipped agent's, or that of one of your runs.

    uv run examples/ask.py "two blue squares and a red circle"
    uv run examples/ask.py "two blue squares and a red circle" runs/<run>

``experiments/generate.py`` does the same with pages, many requests and real models.
"""

import sys
import textwrap
from pathlib import Path

import tyro

from genagent_data import PictureStore, Request
from genagent_miniworld import load_tool, weights
from genagent_policy import Policy
from genagent_rollout import EngineConfig, LocalEngine, SamplingConfig, run_agents


def ask(prompt: str, run: Path | None = None, /, *, out: Path = Path("runs/asked.png")) -> None:
    """Draws PROMPT as the policy of the folder RUN does, rounds on the terminal."""
    folder = weights("sft") if run is None else run
    policy = Policy.load(folder / "policy" if (folder / "policy").is_dir() else folder)
    engine = LocalEngine(policy, SamplingConfig(), EngineConfig())
    store = PictureStore(Path("runs/asked"))
    requests = [Request(id="asked", prompt=prompt)]
    batch = run_agents(
        engine, load_tool("flux-mini"), requests, seeds=[0], max_rounds=3, store=store
    )
    [trajectory] = batch.trajectories
    for round in trajectory.rounds:
        for name, said in (("asks for", round.tool_prompt), ("sees", round.judgement)):
            print(textwrap.fill(f"{name + ':':10}{said}", 80, subsequent_indent=" " * 10))
    if not trajectory.pictures:
        raise ValueError(f"no picture ({trajectory.ending}: {trajectory.error})")
    trajectory.pictures[-1].image.resize((384, 384)).save(out)
    print(out)


if __name__ == "__main__":
    try:
        tyro.cli(ask)
    except ValueError as error:
        sys.exit(f"error: {error}")
