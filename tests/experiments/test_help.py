"""What ``--help`` says: every option has its help, none of it is markup, and 80 columns do."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.experiments.running import run

COMMANDS = [
    *(["rl_flux.py"], ["rl_flux.py", "flux-7b"], ["sft.py"], ["sft.py", "qwen2.5-vl-7b"]),
    *(["synthesize.py"], ["synthesize.py", "qwen-teachers"], ["evaluate.py"]),
    *(["evaluate.py", "flux-7b"], ["generate.py"], ["generate.py", "flux-7b"], ["serve_agent.py"]),
    *(
        ["serve_agent.py", "flux-7b"],
        ["build_miniworld.py"],
        ["convert_records.py"],
        ["reproduce.py"],
    ),
]


def options(shown: str) -> Iterator[tuple[str, str]]:
    """Each option, and what is said of it besides its default."""
    name, said = "", ""
    for line in shown.splitlines():
        inside = line.removeprefix("│ ").removesuffix("│").rstrip()
        begins = re.match(r"(--?\w\S*(?: \S+)*)(?:  +(.*))?$", inside)
        if begins is not None or not line.startswith("│") or "───" in line:
            if name:
                yield name, re.sub(r"\((default|required|repeatable).*", "", said).strip()
            name, said = (begins[1], begins[2] or "") if begins is not None else ("", "")
        else:
            said += f" {inside.strip()}"


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_option_has_its_help_and_none_of_it_is_markup(command: list[str], tmp_path: Path):
    done = run(command[0], tmp_path, *command[1:], "--help")
    assert done.returncode == 0, done.stderr
    found = dict(options(done.stdout))
    assert len(found) >= 8
    assert [name for name, said in found.items() if not said] == []
    lines = done.stdout.splitlines()
    assert [line for line in lines if re.search(r"`|\*\*|:\w+:", line)] == []
    assert [line for line in lines if len(line) > 80] == []
