"""The paper's tables and figures in the miniature: what shows here, and how sure that is.

1. each section (Table 1, 5, …) names its cells: runs of ``rl_flux.py`` and ``evaluate.py``, one a
   seed;
2. those that are not there yet run, some side by side, each in a process of its own;
3. one page: patterns in a sentence each, plots, tables with intervals, the paper's figures beside.

Five seeds are about 35 cells: 80 minutes on two cores, half of it where they have AVX-512;
``--quick`` takes ten minutes with two seeds, and proves nothing. Cells are kept in ``--out``: the
same command goes on after any end, and another does only what changed. Words after ``--`` are a
preset and options of every cell, which both scripts know.
"""

from genagent_tracking import quit_on_interrupt

if __name__ == "__main__":
    quit_on_interrupt()  # the imports below take a second

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import genagent_study as study_of  # what loads matplotlib is taken from it when it is needed
from genagent_data import write_text
from genagent_tracking import (
    exit_code,
    lock_folder,
    parse,
    print_line,
    print_table,
    raise_on_interrupt,
    stop,
)

SectionName = Literal[
    "table1",
    "strategies",
    "table5",
    "figure4",
    "figure5",
    "figure6",
    "withholding",
    "rewards",
    "transfer",
    "deceived",
    "new-requests",
    "cases",
]
PAPER: tuple[SectionName, ...] = (
    "table1",
    "strategies",
    "table5",
    "figure4",
    "figure5",
    "figure6",
)
PACKAGES = (
    "genagent_data",
    "genagent_endpoints",
    "genagent_kernels",
    "genagent_miniworld",
    "genagent_policy",
    "genagent_rewards",
    "genagent_rollout",
    "genagent_tools",
    "genagent_worlds",
)
"""What figures depend on, the miniature's weights among it."""
ToolName = Literal["sana-mini", "flux-mini", "qwen-image-mini"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReproduceConfig:
    """What is reproduced, and how much of it."""

    sections: tuple[SectionName, ...] = PAPER
    """Parts of the page, in this order."""
    quick: bool = False
    """2 seeds, 8 steps, 81 requests: to see it work."""
    seeds: int | None = None
    """How many of every cell; 5, with --quick 2."""
    seed: int = 0
    """The first of them; the others follow it."""
    steps: int | None = None
    """Of RL; 40, with --quick 8."""
    held_out: int | None = None
    """Held-out requests of an evaluation; 270, with --quick 81."""
    tool: ToolName = "sana-mini"
    """With which agents are trained; RL never uses the others."""
    reward: tuple[str, ...] = ("zero",)
    """How the agent is trained that the page calls rl: what a single picture earns as pair reward
    (zero is the paper's words), and other options of --reward as name=value or, without one, as
    name= (if_passed lambda-failed=0.2)."""
    training: tuple[str, ...] = ()
    """Options of rl_flux.py for every training, likewise (lr=1e-4 samples=16)."""
    variants: tuple[str, ...] = ("none", "if_passed", "literal", "zero")
    """Rewards of the section rewards, options of one with commas (zero,lambda-failed=0.2), other
    options of rl_flux.py among them (zero,shared-first=0.5); each is held against the first."""
    parallel: int = 2
    """Cells side by side, one thread each."""
    out: Path = Path("reproduced")
    """Folder of the cells and of the page."""
    archive: Path | None = None
    """Folder of finished cells, a small file each, without pictures and weights (docs/study/cells):
    those that it has are not run again, and others are put there."""
    any_code: bool = False
    """Take kept cells that other code has computed, and say so on the page."""
    plan: bool = False
    """Only say what is kept, what is to run and how long it will take."""

    def __post_init__(self) -> None:
        for name in ("seeds", "steps", "held_out", "parallel"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; wants 1 or more")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; wants 0 or more")
        if not self.variants or len(set(self.variants)) < len(self.variants):
            raise ValueError(f"variants is {self.variants}; wants one or more, each once")
        if not self.sections or len(set(self.sections)) < len(self.sections):
            raise ValueError(f"sections is {self.sections}; wants one or more, each once")

    def study(self, options: Sequence[str]) -> study_of.Study:
        """Its sizes.

        Args:
            options: of every cell; a first word that is no option is a preset.
        """
        seeds, steps, held_out = (2, 8, 81) if self.quick else (5, 40, 270)
        preset = tuple(options[:1]) if options and not options[0].startswith("-") else ()
        return study_of.Study(
            subject=study_of.Subject(
                base="base",
                cold_start="sft",
                cold_start_tool="flux-mini",
                tool=self.tool,
                other_tools=tuple(name for name in get_args(ToolName) if name != self.tool),
                weak_judges={
                    name: f"genagent_miniworld.weak_judge:{name}" for name in ("noisy", "placeless")
                },
                new_requests="genagent_miniworld.arithmetic:requests",
                preset=preset,
                options=tuple(options[len(preset) :]),
            ),
            seeds=tuple(range(self.seed, self.seed + (self.seeds or seeds))),
            steps=self.steps or steps,
            held_out=self.held_out or held_out,
            reward=study_of.reward_words(*self.reward),
            variants={told: study_of.reward_words(*told.split(",")) for told in self.variants},
            training=study_of.option_words(*self.training),
            quick=self.quick,
        )


def main(config: ReproduceConfig, options: Sequence[str]) -> int:
    """Run what is missing and write the page; returns the exit code."""
    study = config.study(options)
    sections = [study_of.SECTIONS[name] for name in config.sections]
    scripts = Path(__file__).parent
    code = study_of.code_version(PACKAGES, [scripts / "rl_flux.py", scripts / "evaluate.py"])
    store = study_of.CellStore(
        folder=config.out / "cells", code=code, any_code=config.any_code, archive=config.archive
    )
    plan = study_of.make_plan(study, sections, store, parallel=config.parallel)
    print_table("cells", plan.rows(), has_total=False)
    print_line(plan.line())
    if config.plan:
        return 0
    config.out.mkdir(parents=True, exist_ok=True)
    page = config.out / "reproduce.html"
    with lock_folder(config.out):
        failures = study_of.run_cells(
            plan.missing,
            store,
            scripts=scripts,
            pace=plan.pace,
            parallel=config.parallel,
            done=len(plan.kept),
        )
        try:
            results = store.results(list(plan.cells))
            store.share(results.values())
            figures = study_of.write_page(
                page,
                study,
                sections,
                results,
                failures,
                title="GenAgent in the miniature",
                code=code,
            )
            write_text(config.out / "summary.json", json.dumps(figures, indent=2))
        except (ValueError, OSError) as error:
            stop([error], 1)
    for section in sections:
        for pattern in figures["patterns"].get(section.name, ()):
            print_line(f"{section.name}: {pattern['claim']}: {pattern['verdict']}")
    for failure in failures:
        print_line(f"failed: {failure.cell.title}: {failure.why}")
    print_line(f"page: {page}")
    print_line(str(config.out / "summary.json"))
    return 1 if failures else 0


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--resume"]  # every start resumes
    cut = words.index("--") if "--" in words else len(words)
    try:
        read = parse(
            ReproduceConfig,
            words[:cut],
            prog="reproduce.py [--resume]",
            default=ReproduceConfig(),
        )
        raise_on_interrupt()
        code = main(read, words[cut + 1 :])
    except (ValueError, OSError) as error:
        stop([error], 2)
    except KeyboardInterrupt:
        stop([KeyboardInterrupt("stopped; the same command goes on")], exit_code())
    raise SystemExit(code)
