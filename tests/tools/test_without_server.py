"""Who does not serve needs none of what the ``server`` extra brings."""

import subprocess
import sys

PROGRAM = """
import sys
for name in ("fastapi", "httptools", "prometheus_client", "pydantic", "starlette", "uvicorn",
             "uvloop"):
    sys.modules[name] = None  # importing it fails, as where it is not installed
from genagent_tools import PROFILES, HttpImageTool, HttpToolConfig
from genagent_tools.cli import main
from genagent_tools.loading import Overrides, load_tools
assert Overrides(steps=9).apply(PROFILES["flux-8step"]).steps == 9
HttpImageTool(HttpToolConfig()).close()
sys.argv = ["genagent-tools", "profiles"]
main()
"""


def test_profiles_and_the_http_client_do_without_the_server():
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "flux-8step" in ended.stdout
