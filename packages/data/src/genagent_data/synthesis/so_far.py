"""What a synthesis has come to so far, out of its folder, while it runs or after."""

from collections import Counter
from functools import reduce
from itertools import count, takewhile
from operator import add
from pathlib import Path

from genagent_data.synthesis.balance import balance
from genagent_data.synthesis.chunks import Chunks
from genagent_data.synthesis.funnel import Funnel, StageFigures
from genagent_data.synthesis.line import INTAKE
from genagent_data.synthesis.stages import STAGES
from genagent_data.synthesis.synthesize import BALANCE, WORK, SynthesisConfig


def funnel_so_far(folder: Path, config: SynthesisConfig, *, seed: int = 0) -> Funnel | None:
    """Figures of the chunks that have been through all stages; None where there are none.

    Args:
        folder: as ``synthesize`` was given it.
        config: by which they are balanced, as if they were all.

    Raises:
        ValueError: a line of the folder's files is none of ours.
        OSError: a file cannot be read.
    """
    root, names = folder / WORK / "stages", (INTAKE, *STAGES)
    if not root.is_dir():
        return None
    chunks, last = Chunks(root, names), len(STAGES)
    begun = takewhile(lambda chunk: chunks.figures(0, chunk) is not None, count())
    done = [chunk for chunk in begun if chunks.figures(last, chunk) is not None]
    if not done:
        return None
    stages = [
        reduce(add, (figures for chunk in done if (figures := chunks.figures(stage, chunk))))
        for stage in range(last + 1)
    ]
    balanced = balance(
        (draft for chunk in done for draft in chunks.drafts(last, chunk)),
        unfinished=config.unfinished,
        task_ratio=config.task_ratio,
        seed=seed,
    )
    drops = dict(Counter(balanced.dropped.values()))
    left = StageFigures(name=BALANCE, kept=stages[-1].kept - len(balanced.dropped), drops=drops)
    return Funnel(stages=(*stages, left), short=balanced.short)
