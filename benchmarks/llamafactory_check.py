"""What LLaMA-Factory makes of the ShareGPT export, beside what the policy is trained on.

    uv run benchmarks/llamafactory_check.py
    uv run benchmarks/llamafactory_check.py --data data/cold-start --policy runs/<run>/policy

The first time it builds an environment, 6 GB: LLaMA-Factory wants another transformers than the
workspace. There, its own ``get_dataset`` loads the export under the settings that were written
beside it, through its converter, its template and its processor. Every record must come out as the
very tokens of ``ChatFormat``, with labels on the agent's turns alone. One difference is meant:
LLaMA-Factory puts a line break behind every turn, the last one included, and learns it.

It ends with exit code 1 where something differs.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import tyro
from PIL import Image

from genagent_data import (
    Picture,
    Record,
    Request,
    Turn,
    read_records,
    render_turn,
    system_message,
    write_sharegpt,
)

if TYPE_CHECKING:
    from transformers import Qwen2_5_VLProcessor

REQUIREMENTS = (
    "llamafactory==0.9.5",
    "torch==2.11.0",
    "torchaudio==2.11.0",
    "torchvision==0.26.0",
)
"""It imports torchaudio, which has no build for newer torch; torchaudio 2.11.1 wants a symbol that
torch 2.11.0 does not have."""
IGNORED = -100
"""LLaMA-Factory's label of what is not learnt."""

READER = """
import json, sys, yaml
from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
from llamafactory.data.loader import _get_merged_dataset
from llamafactory.hparams import get_train_args
from llamafactory.model import load_tokenizer

settings, policy, out = sys.argv[1:]
with open(settings) as file:
    given = yaml.safe_load(file)
given |= {"model_name_or_path": policy, "output_dir": out, "do_train": True, "use_cpu": True}
model, data, training, tuning, _ = get_train_args(given | {"finetuning_type": "full"})
loaded = load_tokenizer(model)
template = get_template_and_fix_tokenizer(loaded["tokenizer"], data)
aligned = _get_merged_dataset(data.dataset, model, data, training, "sft")
encoded = get_dataset(template, model, data, training, stage="sft", **loaded)["train_dataset"]
with open(out + "/read.json", "w") as file:
    json.dump({"aligned": aligned.to_list(), "encoded": encoded.to_list()}, file)
"""


@dataclass(frozen=True, kw_only=True)
class LlamaFactoryCheckConfig:
    """What is exported and compared."""

    data: Path | None = None
    """Folder of records; by default a few that hold what is easily got wrong."""
    policy: Path = Path("packages/miniworld/src/genagent_miniworld/weights/sft")
    """Checkpoint folder whose tokenizer and processor both sides use."""
    records: int = 200
    """At most so many."""
    environment: Path = Path("build/llamafactory")
    """Folder of LLaMA-Factory's own environment; built where it is not there yet."""

    @property
    def python(self) -> Path:
        """The environment's interpreter, not resolved: a link from there is what makes it one."""
        return self.environment.absolute() / "bin" / "python"


def build(config: LlamaFactoryCheckConfig) -> None:
    """Have LLaMA-Factory in the environment.

    Raises:
        subprocess.CalledProcessError: uv cannot; it has said why.
    """
    query = "from importlib.metadata import version; print(version('llamafactory'))"
    if config.python.exists():
        found = subprocess.run([config.python, "-c", query], capture_output=True, text=True)
        if found.returncode == 0 and found.stdout.strip() == REQUIREMENTS[0].split("==")[1]:
            return
    print(f"building {config.environment} with {REQUIREMENTS[0]}, some 6 GB", flush=True)
    venv = ["uv", "venv", "--quiet", "--allow-existing", "--python", "3.11"]
    subprocess.run([*venv, config.environment], check=True)
    install = ["uv", "pip", "install", "--quiet", "--python", config.python]
    subprocess.run([*install, *REQUIREMENTS], check=True)


def examples() -> list[Record]:
    """One round to three, an end without an answer, no picture, every kind of text."""
    colours = ("red", "green", "blue")
    pictures = tuple(Picture.of(Image.new("RGB", (48, 48), colour)) for colour in colours)
    call = {"thinking": "três círculos\n\n🔴 <b>", "tool_prompt": 'say "hi" \\ 三'}
    again = render_turn(Turn(judgement="  no </x> ", **call))
    turns = (render_turn(Turn(**call)), again, again)
    done = render_turn(Turn(judgement="all of it is there", answer=""))
    shapes = [(turns[:1], 0), *(((*turns[:count], done), count) for count in (1, 2, 3))]
    shapes.append((turns, 2))
    return [
        Record(
            request=Request(id=f"r{index}", prompt=f"a dog,\n{index} times é🐕"),
            turns=said,
            pictures=pictures[:drawn],
            words=60 if index % 2 else None,
        )
        for index, (said, drawn) in enumerate(shapes)
    ]


def read(config: LlamaFactoryCheckConfig, settings: Path, out: Path) -> dict[str, Any]:
    """What LLaMA-Factory's loader gives: ``aligned`` messages and ``encoded`` tokens.

    Raises:
        RuntimeError: it fails; with its last lines.
    """
    done = subprocess.run(
        [config.python, "-c", READER, settings, config.policy.absolute(), out],
        env=os.environ
        | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(out / "cache"), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"LLaMA-Factory ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return json.loads((out / "read.json").read_text())


def problems(
    record: Record,
    aligned: dict[str, Any],
    encoded: dict[str, Any],
    processor: "Qwen2_5_VLProcessor",
) -> list[str]:
    """What differs, a line each."""
    from genagent_policy.chat import ChatFormat

    lines = []
    chat = ChatFormat(processor, system=system_message(words=record.words))
    images = [picture.image for picture in record.pictures]
    ours = chat.render(record.turns, record.request.prompt, images)
    newline = chat.turn_ids("\n")[:-1]
    ids, learnt = ours.ids.tolist(), ours.policy_mask.tolist()
    # Behind a turn of the agent the line break is theirs to learn, and ours to be given.
    ids = ids + newline
    learnt = [now or before for now, before in zip([*learnt, False], [False, *learnt], strict=True)]
    labels = [token if is_learnt else IGNORED for token, is_learnt in zip(ids, learnt, strict=True)]
    messages = aligned["_prompt"] + aligned["_response"]
    if [m["content"] for m in messages if m["role"] == "assistant"] != list(record.turns):
        lines.append("the assistant's messages are not the turns")
    if len(messages) != 2 * len(record.turns):
        lines.append(f"{len(messages)} messages for {len(record.turns)} turns")
    if aligned["_system"] != system_message(words=record.words):
        lines.append("the system message differs")
    names = [Path(path).stem for path in encoded["images"] or []]
    if names != [picture.name for picture in record.pictures]:
        lines.append(f"pictures are {names}")
    if encoded["input_ids"] != ids:
        lines.append(f"tokens differ: {_difference(encoded['input_ids'], ids, processor)}")
    if encoded["labels"] != labels:
        lines.append(f"labels differ: {_difference(encoded['labels'], labels, processor)}")
    return [f"record {record.request.id!r}: {line}" for line in lines]


def _difference(theirs: list[int], ours: list[int], processor: "Qwen2_5_VLProcessor") -> str:
    shared = min(len(theirs), len(ours))
    first = next((i for i in range(shared) if theirs[i] != ours[i]), shared)
    said = [
        "".join(
            "_" if token == IGNORED else str(processor.tokenizer.decode([token]))
            for token in some[first : first + 12]
        )
        for some in (theirs, ours)
    ]
    return f"from {first} on {said[0]!r} ({len(theirs)}), and here {said[1]!r} ({len(ours)})"


def main(config: LlamaFactoryCheckConfig) -> int:
    """Build, export, load, compare; returns the exit code."""
    try:
        given = examples() if config.data is None else read_records(config.data)
        records = list(islice(given, config.records))
        build(config)
        with TemporaryDirectory() as folder:
            out = Path(folder)
            write_sharegpt(out / "export", records)
            found = read(config, out / "export" / "genagent.yaml", out)
    except (ValueError, OSError, RuntimeError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    from transformers import Qwen2_5_VLProcessor

    processor = Qwen2_5_VLProcessor.from_pretrained(config.policy)
    counts = len(found["aligned"]), len(found["encoded"])
    lines = [] if counts == (len(records),) * 2 else [f"{len(records)} records became {counts}"]
    tokens = labels = 0
    for record, aligned, encoded in zip(
        records, found["aligned"], found["encoded"], strict=not lines
    ):
        lines += problems(record, aligned, encoded, processor)
        tokens += len(encoded["labels"])
        labels += sum(label != IGNORED for label in encoded["labels"])
    print(
        "\n".join(lines) or f"{len(records)} records are the same: {tokens} tokens, {labels} learnt"
    )
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(LlamaFactoryCheckConfig, description=__doc__)))
