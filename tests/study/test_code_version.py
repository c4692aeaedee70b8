import sys
from pathlib import Path

import pytest

from genagent_study import code_version

CODE = '''"""A module."""
from dataclasses import dataclass


@dataclass
class Config:
    """Options."""

    steps: int = 40
    """Of RL."""
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "studied_code"
    folder.mkdir()
    (folder / "__init__.py").write_text(CODE)
    (folder / "prompt.md").write_text("Is it right?")
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def test_only_what_can_change_a_figure_changes_it(package: Path, tmp_path: Path):
    script = tmp_path / "job.py"
    script.write_text("print(1)\n")

    def version() -> str:
        return code_version(["studied_code"], [script])

    first = version()
    assert "studied_code" not in sys.modules
    module = package / "__init__.py"
    module.write_text(CODE.replace("Options.", "What is asked.").replace("RL.", "RL. # 1\n    "))
    script.write_text('"""A job."""\n\nprint(1)  # one\n')
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "a.pyc").write_bytes(b"x")
    assert version() == first
    seen = {first}
    for path, text in (
        (module, CODE.replace("40", "41")),
        (script, "print(2)\n"),
        (package / "prompt.md", "Is it wrong?"),
        (package / "more.py", ""),
    ):
        path.write_text(text)
        assert version() not in seen
        seen.add(version())


def test_a_package_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="package is 'no_such_code'"):
        code_version(["no_such_code"], [])
