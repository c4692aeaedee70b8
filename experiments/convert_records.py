"""Records of supervised fine-tuning from one format to another, each checked on the way.

    uv run experiments/convert_records.py --data records --to sharegpt --out lf
    uv run experiments/convert_records.py --data lf --from sharegpt \\
        --to records --out again

Formats: our own (``records`` in Parquet, ``jsonl``), ``sharegpt`` (LLaMA-Factory), ``openai``
(messages) and ``datasets`` (Hugging Face). A record that cannot be written ends it with one line
and exit code 1, before the output has its name; ``--drop`` leaves such records out and counts them.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from genagent_data import (
    Record,
    RecordError,
    read_openai,
    read_records,
    read_sharegpt,
    write_openai,
    write_records,
    write_sharegpt,
)
from genagent_data.record_check import Drop
from genagent_tracking import counted, parse, print_error, print_line

Format = Literal["records", "jsonl", "sharegpt", "openai", "datasets"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvertConfig:
    """What is read, and what is written."""

    data: Path
    """Folder to read; of sharegpt and openai also a .jsonl or .json file."""
    source: Annotated[Format, tyro.conf.arg(name="from")] = "records"
    """What is read."""
    to: Format
    """What is written."""
    out: Path
    """Folder to write."""
    name: str = "genagent"
    """The data set in LLaMA-Factory's dataset_info.json."""
    embed: bool = False
    """Pictures within the file of openai, and not beside it."""
    allow_format_errors: bool = False
    """Let turns pass that would teach a format error."""
    drop: bool = False
    """Leave out and count what is refused, instead of stopping."""


def main(config: ConvertConfig) -> int:
    """Read, write, report; returns the exit code."""
    dropped: Counter[str] = Counter()
    first: dict[str, str] = {}

    def drop(error: RecordError) -> None:
        dropped[error.reason] += 1
        first.setdefault(error.reason, str(error))

    try:
        if not config.data.exists():
            raise FileNotFoundError(f"{config.data} is not there; give --data a folder of records")
        if config.data.absolute() == config.out.absolute():
            raise ValueError(f"--out is {config.out}, which is read from; name another folder")
        count = _write(config, counted("records", _read(config, drop)), drop)
    except (ValueError, OSError) as error:
        print_error(str(error))
        return 1
    print_line(f"{count} records in {config.out}")
    for reason, number in dropped.most_common():
        print_line(f"dropped {number}, {reason}; the first: {first[reason]}")
    print_line(f"next: {_next(config)}")
    return 0


def _next(config: ConvertConfig) -> str:
    match config.to:
        case "sharegpt":
            return f"llamafactory-cli train {config.out / config.name}.yaml"
        case "openai":
            return "docs/records.md says who reads it"
        case "datasets":
            return f"datasets.load_dataset({str(config.out)!r})"
        case _:
            return f"uv run experiments/sft.py --data {config.out}"


def _read(config: ConvertConfig, drop: Drop) -> Iterator[Record]:
    options = _options(config, drop)
    match config.source:
        case "sharegpt":
            return read_sharegpt(config.data, **options)
        case "openai":
            return read_openai(config.data, **options)
        case "datasets":
            from genagent_data.hf_datasets import read_dataset

            return read_dataset(config.data, **options)
        case _:
            return read_records(config.data, **options)


def _write(config: ConvertConfig, records: Iterator[Record], drop: Drop) -> int:
    options = _options(config, drop)
    match config.to:
        case "sharegpt":
            return write_sharegpt(config.out, records, name=config.name, **options)
        case "openai":
            return write_openai(config.out, records, embed=config.embed, **options)
        case "datasets":
            from genagent_data.hf_datasets import write_dataset

            return write_dataset(config.out, records, **options)
        case "records":
            return write_records(config.out, records, **options)
        case "jsonl":
            return write_records(config.out, records, format="jsonl", **options)


def _options(config: ConvertConfig, drop: Drop) -> dict:
    return {
        "allow_format_errors": config.allow_format_errors,
        "drop": drop if config.drop else None,
    }


if __name__ == "__main__":
    sys.exit(main(parse(ConvertConfig, sys.argv[1:], prog="convert_records.py")))
