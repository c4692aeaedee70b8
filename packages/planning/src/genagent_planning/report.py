"""A plan on the terminal: tables that 80 columns hold."""

from collections.abc import Sequence
from dataclasses import replace

from genagent_planning.assumptions import GIB, PlanConfig
from genagent_planning.memory import Memory, MemoryModel
from genagent_planning.placement import Placement
from genagent_planning.planned_model import PlannedModel
from genagent_planning.synthesis_traffic import SynthesisPlanConfig
from genagent_tracking import print_line, print_table


def show_model(model: PlannedModel) -> None:
    """What is planned for."""
    seen = f"{model.vision_weights / 1e9:.2f} of them see"
    print_line(f"{model.name}: {model.weights / 1e9:.2f} e9 weights, {seen}; none loaded")
    if model.lora is not None:
        print_line(
            f"an adapter of {model.adapter_weights / 1e6:,.1f} e6 in float32 is learnt alone"
        )


def show_memory(memory: Memory, title: str) -> None:
    """A row a component, the total first."""
    rows = [{"": "all", "GiB": _gib(memory.total)}]
    rows += [{"": name, "GiB": _gib(size)} for name, size in memory.parts.items()]
    print_table(title, rows)
    if memory.host:
        print_line(f"and {_gib(memory.host)} GiB of the host's memory for each")


def show_passes(model: MemoryModel, tokens: Sequence[int]) -> None:
    """What a training pass keeps, by how much is run at once and by what is computed again."""
    rows = []
    for count in sorted(set(tokens)):
        kept = [
            MemoryModel(
                model.model,
                replace(model.training, tokens=count, checkpoint_activations=again),
            ).on(gpus=1)
            for again in (False, True)
        ]
        rows.append(
            {
                "tokens at once": f"{count:,}",
                "all kept": _gib(kept[0].parts["activations"]),
                "checkpoint-activations": _gib(kept[1].parts["activations"]),
            }
        )
    print_table("activations of the language model, GiB", rows, has_total=False)


def show_counts(title: str, counts: dict[str, float], unit: str = "") -> None:
    """Whole numbers, a row each."""
    rows = [{"": name, unit or "number": f"{value:,.0f}"} for name, value in counts.items()]
    print_table(title, rows, has_total=False)


def show_places(found: dict[int, Placement | None], given: PlanConfig) -> None:
    """Which GPUs do what, the fastest split of each number of them, and how long a step takes."""
    rows = []
    for gpus, one in found.items():
        if one is None:
            rows.append({"GPUs": str(gpus)} | dict.fromkeys(_COLUMNS, "no room"))
            continue
        seconds = one.seconds
        rows.append(
            {
                "GPUs": str(gpus),
                # First, so that it stays beside them where the terminal has no room for all.
                "step s": f"{seconds.step:,.0f}",
                "train": str(one.training),
                "vLLM": str(one.sampling) if one.sampling else "-",
                "draw": str(one.tools),
                "judge": str(one.judges * one.judge_gpus),
                "GiB": _gib(one.memory.total),
                "sample s": f"{seconds.sampling:,.0f}",
                "draw s": f"{seconds.drawing:,.0f}",
                "judge s": f"{seconds.judging:,.0f}",
                "update s": f"{seconds.updating:,.0f}",
            }
        )
    title = "the fastest split in which training fits; drawing and judging go on beside sampling"
    print_table(title, rows, has_total=False)
    for gpus, one in found.items():
        for number, line in enumerate(one.nodes(given.node_gpus) if one else [], start=1):
            print_line(f"  of {gpus}, machine {number}: {line}")


def show_assumptions(
    given: PlanConfig | SynthesisPlanConfig,
    names: Sequence[str],
    title: str = "taken for granted; measured figures are given as options:",
) -> None:
    """What was taken for granted, as the options that say otherwise."""
    print_line(title)
    for name in names:
        print_line(f"  --plan.{name.replace('_', '-')} {getattr(given, name):g}")


def _gib(size: float) -> str:
    return f"{size / GIB:,.1f}" if size < 1000 * GIB else f"{size / GIB:,.0f}"


_COLUMNS = (
    *("step s", "train", "vLLM", "draw", "judge", "GiB"),
    *("sample s", "draw s", "judge s", "update s"),
)
