"""What a data set says of itself: a page with its counts and where it comes from, and a plot."""

from collections.abc import Mapping
from pathlib import Path

from genagent_data.synthesis.funnel import Funnel, StageFigures

COLORS = {"kept": "#2f6f4f", "dropped": "#d9a441"}


def data_card(funnel: Funnel, about: Mapping[str, str]) -> str:
    """Markdown, with the front matter that dataset hubs read.

    Args:
        about: lines of "made with"; ``licence`` and ``title`` are said at the top.
    """
    licence = about.get("licence") or "unknown"
    made = {name: text for name, text in about.items() if name not in ("licence", "title")}
    lines = [
        "---",
        f"license: {licence if _is_plain(licence) else 'other'}",
        "task_categories: [text-to-image, image-text-to-text]",
        f"size_categories: [{_size(funnel.records)}]",
        "---",
        "",
        f"# {about.get('title', 'Trajectories of an image agent')}",
        "",
        f"{funnel.records} trajectories out of {funnel.requests} requests: the agent thinks, calls "
        "an image generator, judges its picture, and answers or tries once more.",
        "",
        "![The funnel](funnel.png)",
        "",
        "## Made with",
        "",
        *(f"- **{name}**: {text}" for name, text in made.items()),
        f"- **licence**: {licence}",
        "",
        "## Kept and dropped",
        "",
        *_table(funnel.rows()),
        "",
        "Time is the stage's share of the seconds of work. A drop is a line of its stage's files, "
        "with what was wrong.",
        "",
        "## Records",
        "",
        *_table([{"ending": name, "records": str(n)} for name, n in funnel.endings.items()]),
        "",
        *([f"{line}.", ""] if (line := funnel.short_line()) else ()),
        *_table([{"task": name, "records": str(n)} for name, n in funnel.tasks.items()]),
        "",
    ]
    return "\n".join(lines)


def plot_funnel(path: Path, funnel: Funnel) -> None:
    """One bar a stage: what it kept and, behind it, what it dropped, with the reasons; as PNG.

    Raises:
        OSError: the file cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    stages = funnel.stages
    figure = Figure(figsize=(9, 0.55 * len(stages) + 1.2), dpi=110)
    figure.set_layout_engine(ConstrainedLayoutEngine(h_pad=0.08, w_pad=0.1))
    axes = figure.subplots()
    places = range(len(stages))
    kept = [stage.kept for stage in stages]
    axes.barh(places, kept, color=COLORS["kept"], label="kept")
    dropped = [stage.dropped for stage in stages]
    axes.barh(places, dropped, left=kept, color=COLORS["dropped"], label="dropped")
    for place, stage in enumerate(stages):
        end = stage.kept + stage.dropped
        text = f" {stage.kept}{_reasons(stage)}"
        axes.annotate(text, (end, place), va="center", fontsize=8)
    axes.set_yticks(list(places), [stage.name for stage in stages])
    axes.invert_yaxis()
    # Room for the words behind the longest bars.
    axes.set_xlim(0, 1.9 * max(1, funnel.requests))
    axes.set_xticks([0, funnel.requests])
    axes.set_title(f"{funnel.records} records out of {funnel.requests} requests", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", frameon=False, fontsize=8)
    figure.savefig(path)


def _reasons(stage: StageFigures, *, most: int = 3) -> str:
    drops = sorted(stage.drops.items(), key=lambda item: -item[1])
    words = [f"{reason} {n}" for reason, n in drops[:most]]
    if len(drops) > most:
        words.append(f"{len(drops) - most} more")
    return f"   dropped: {', '.join(words)}" if words else ""


def _table(rows: list[dict[str, str]]) -> list[str]:
    if not rows:
        return ["none"]
    head = [f"| {' | '.join(rows[0])} |", f"|{'---|' * len(rows[0])}"]
    return head + [f"| {' | '.join(row.values())} |" for row in rows]


def _is_plain(licence: str) -> bool:
    return licence.replace("-", "").replace(".", "").isalnum()


def _size(records: int) -> str:
    """The hub's own names."""
    for most, name in ((1000, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K")):
        if records < most:
            return name
    return "100K<n<1M" if records < 10**6 else "1M<n<10M"
