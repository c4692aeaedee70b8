"""WISE (arXiv 2503.07265): does a picture show what one has to know?

1000 requests in six categories, which go by the range of the id, as in the official scripts of
PKU-YuanGroup/WISE. Two variants that cannot be compared with one another:

- ``wise``, the first release (``WISE_legacy``), whose figures GenAgent reports: three grades from
  0 to 2 by gpt-4o.
- ``wise-verified``, the repository's default since 2026-04: about 200 requests changed, ids cut
  anew, right or wrong by Qwen3.5.

What both share stands here; each one's question is in ``wise_graded`` and ``wise_verified``.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

from genagent_data import Request
from genagent_rewards import ChatRequest, Picture
from genagent_worlds.benchmarks.benchmark import (
    JudgeSettings,
    Protocol_,
    Result,
    Score,
    part_of,
    version_of,
)
from genagent_worlds.benchmarks.official_files import (
    Distinct,
    at,
    official_rows,
    some_of,
    whole_number,
)
from genagent_worlds.benchmarks.pictures import ANY_SUFFIX
from genagent_worlds.benchmarks.table import BenchmarkTable, Scoring, tabulate

KEYS = ("Prompt", "Explanation", "Category", "prompt_id")
TOTAL = 1000
_LABELS = {
    "Cultural knowledge": "Cultural",
    "time": "Time",
    "Space": "Space",
    "Biology": "Biology",
    "Physical Knowledge": "Physics",
    "Chemistry": "Chemistry",
}
_LEGACY_STEMS = ("cultural_common_sense", "spatio-temporal_reasoning", "natural_science")


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """What tells WISE and WISE_Verified apart."""

    name: str
    files: tuple[str, ...]
    """Of its folder."""
    ranges: Mapping[str, range]
    """Ids of each category, in the paper's order."""
    rules: str
    """Raised with any change of how a reply is read."""
    settings: Mapping[Protocol_, JudgeSettings]
    scoring: Mapping[Protocol_, Scoring]
    words: Callable[[Protocol_, Request], tuple[str, str]]
    """System message and text of a request's question."""
    read: Mapping[Protocol_, Callable[[str], Score | None]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wise:
    """See ``Benchmark``."""

    variant: Variant = field(repr=False)
    protocol: Protocol_
    requests: tuple[Request, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def load(cls, variant: Variant, path: Path, protocol: Protocol_) -> "Wise":
        """
        Args:
            path: the folder with the three files, or one file, of whose categories the figures
                then are; there is no overall figure without all six.

        Raises:
            ValueError: in one line, for files that are not the benchmark's.
        """
        paths = [path / name for name in variant.files] if path.is_dir() else [path]
        verified = variant.name.endswith("verified")
        if path.is_file() and not verified and "verified" in path.name:
            raise ValueError(f"{path}: a file of WISE_Verified; take the benchmark wise-verified")
        if path.is_file() and verified and path.name.removesuffix(".json") in _LEGACY_STEMS:
            raise ValueError(f"{path}: a file of the first WISE; take the benchmark wise")
        requests: dict[int, Request] = {}
        ids = Distinct()
        for file in paths:
            for where, row, request in official_rows(file, KEYS):
                with at(where):
                    number = whole_number(row, "prompt_id")
                    ids.add(number, where)
                    task = _category(variant, number, label=request.task)
                requests[number] = replace(request, id=str(number), task=task)
        if not requests:
            raise ValueError(f"{path}: holds no row; give the official files of {variant.name}")
        present = {request.task for request in requests.values()}
        for category in present:
            if absent := ids.missing_of(variant.ranges[category]):
                raise ValueError(
                    f"{path}: {category} has no row with prompt_id {some_of(absent)}; take the "
                    f"official files of {variant.name} as they are"
                )
        notes = ()
        if path.is_file() and path.stem.endswith("_rewrite"):
            notes = ("rewritten prompts, which give the answer away: no figures of WISE itself",)
        ordered = tuple(requests[number] for number in sorted(requests))
        return cls(variant=variant, protocol=protocol, requests=ordered, notes=notes)

    @property
    def name(self) -> str:
        return self.variant.name

    @property
    def settings(self) -> JudgeSettings:
        return self.variant.settings[self.protocol]

    @property
    def suffixes(self) -> tuple[str, ...]:
        return (".png",) if self.protocol == "official" else ANY_SUFFIX

    @property
    def version(self) -> str:
        texts = [self.variant.words(self.protocol, request) for request in self.requests]
        scoring = asdict(self.variant.scoring[self.protocol])
        return version_of(self, self.variant.rules, texts, scoring)

    def question(self, request: Request, picture: Picture) -> ChatRequest:
        """See ``Benchmark``."""
        system, text = self.variant.words(self.protocol, request)
        official = self.protocol == "official"
        parts = (text, picture.image) if official else (picture.image, text)
        return ChatRequest(system=system, parts=parts)

    def read(self, reply: str) -> Score | None:
        """See ``Benchmark``."""
        return self.variant.read[self.protocol](reply)

    def table(self, results: Mapping[str, Result], *, seed: int = 0) -> BenchmarkTable:
        """See ``Tabled``."""
        return tabulate(self, self.variant.scoring[self.protocol], results, seed=seed)

    def part(self, n: int) -> Self:
        """See ``Tabled``."""
        return part_of(self, n)


def _category(variant: Variant, number: int, *, label: str) -> str:
    """By the id, as the official scripts have it: one of the rewritten rows says "Ecology"."""
    for category, ids in variant.ranges.items():
        if number in ids:
            if _LABELS.get(label, category) != category:
                raise ValueError(
                    f"prompt_id {number} is {category} in {variant.name}, and the row says "
                    f"{label!r}; take that benchmark's own files"
                )
            return category
    raise ValueError(f'"prompt_id" is {number}; wants 1 to {TOTAL}')


def explained(request: Request) -> str:
    """The prompt and its explanation, as both variants put them before the judge."""
    return f'PROMPT: "{request.prompt}"\nEXPLANATION: "{request.hints[0]}"'
