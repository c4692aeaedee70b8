"""Invented benchmark files in the official forms, as small as those allow."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from genagent_worlds import Benchmark, Result, Score

TAGS = (
    "color_attr",
    "counting",
    "color_count_attr",
    "color_spatial_attr",
    "spatial_count_attr",
    "size_spatial_attr",
    "multi_object_count_attr",
)
"""In the order of the paper's columns."""
TYPES = ("COLOR", "SHAPE", "MATERIAL", "SIZE", "COMBINATION", "TIME", "ENVIRONMENT")
LABELS = {
    "Cultural": "Cultural knowledge",
    "Time": "time",
    "Space": "Space",
    "Biology": "Biology",
    "Physics": "Physical Knowledge",
    "Chemistry": "Chemistry",
}
LEGACY = {
    "cultural_common_sense.json": {"Cultural": range(1, 401)},
    "spatio-temporal_reasoning.json": {"Time": range(401, 568), "Space": range(568, 701)},
    "natural_science.json": {
        "Biology": range(701, 801),
        "Physics": range(801, 901),
        "Chemistry": range(901, 1001),
    },
}
VERIFIED = {
    "cultural_common_sense_verified.json": {"Cultural": range(1, 401)},
    "spatio-temporal_reasoning_verified.json": {"Time": range(401, 521), "Space": range(521, 641)},
    "natural_science_verified.json": {
        "Biology": range(641, 761),
        "Physics": range(761, 881),
        "Chemistry": range(881, 1001),
    },
}


def write_lines(path: Path, rows: Iterable[object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def geneval_rows(each: int = 1) -> list[dict]:
    return [
        {
            "tag": tag,
            "include": [{"class": "mug", "count": number}],
            "prompt": f"{number} mugs for {tag}",
        }
        for tag in TAGS
        for number in range(1, each + 1)
    ]


def imagine_rows(each: int = 1, *, notes: bool = True) -> list[dict]:
    types = [kind for kind in TYPES for _ in range(each)] + ["Multi-Object"] * 2 * each
    rows = [
        {"id": number, "instruction": f"a thing {number}", "note": f"odd {number}", "type": kind}
        for number, kind in enumerate(types, start=1)
    ]
    return rows if notes else [{key: row[key] for key in row if key != "note"} for row in rows]


def wise_rows(ranges: Mapping[str, range]) -> list[dict]:
    return [
        {
            "Prompt": f"what one knows {number}",
            "Explanation": f"it is {number}",
            "Category": LABELS[category],
            "Subcategory": "any",
            "prompt_id": number,
        }
        for category, ids in ranges.items()
        for number in ids
    ]


def write_wise(folder: Path, files: Mapping[str, Mapping[str, range]] = LEGACY) -> Path:
    for name, ranges in files.items():
        (folder / name).write_text(json.dumps(wise_rows(ranges)))
    return folder


def ids_of(benchmark: Benchmark) -> dict[str, list[str]]:
    """By category, in order."""
    found: dict[str, list[str]] = {}
    for request in benchmark.requests:
        found.setdefault(request.task, []).append(request.id)
    return found


def all_at(benchmark: Benchmark, values: Mapping[str, float]) -> dict[str, Result]:
    """A score for each request: its category's."""
    return {one.id: Score(value=values[one.task]) for one in benchmark.requests}


def first_right(benchmark: Benchmark, counts: Mapping[str, int]) -> dict[str, Result]:
    """So many right of each category, the rest wrong."""
    return {
        one: passed_or_not(place < counts[category])
        for category, ids in ids_of(benchmark).items()
        for place, one in enumerate(ids)
    }


def passed_or_not(passed: bool) -> Score:
    return Score(value=float(passed), passed=passed)


def values(benchmark: Benchmark, results: Mapping[str, Result]) -> Sequence[float | None]:
    """The table's figures, in its order."""
    return [row.value for row in benchmark.table(results).rows]
