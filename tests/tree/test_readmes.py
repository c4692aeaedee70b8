"""What the packages' READMEs show works: their lines of use run, and print what they say."""

import re
import runpy
from pathlib import Path

import pytest

PACKAGES = Path(__file__).parents[2] / "packages"


def printed_as_told(code: str) -> list[str]:
    """What stands behind ``print(...)  # ``, line by line."""
    return re.findall(r"^ *print\(.*\)  # (.*)$", code, flags=re.MULTILINE)


@pytest.mark.parametrize("package", sorted(path.name for path in PACKAGES.iterdir()))
def test_the_lines_of_use_run(
    package: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    text = (PACKAGES / package / "README.md").read_text(encoding="utf-8")
    [code] = re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "readme.py"
    script.write_text(code, encoding="utf-8")
    runpy.run_path(str(script), run_name="readme")
    assert capsys.readouterr().out.splitlines() == printed_as_told(code) != []
