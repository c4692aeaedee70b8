"""What every built part can do, and moving what is built to where the package ships it."""

import shutil
from pathlib import Path

from genagent_building.judge_cases import drawn_cases
from genagent_building.judge_report import judge_figures
from genagent_building.report import Figure, policy_figures, tool_figures
from genagent_building.stages import built_tool
from genagent_data import PictureStore
from genagent_miniworld import POLICIES, TOOLS, load_judge, sample_requests, weights
from genagent_policy import Policy


def built_figures(work: Path, *, count: int, seed: int, store: PictureStore) -> list[Figure]:
    """The tools', the policies' and the judge's, each on ``count`` held-out requests."""
    requests = sample_requests(count, seed=seed + 1, split="held-out")
    tools = {name: built_tool(name, work) for name in TOOLS}
    figures = [
        figure
        for name, tool in tools.items()
        for figure in tool_figures(name, tool, count=count, seed=seed + 2)
    ]
    for name in POLICIES:
        policy = Policy.load(work / name)
        figures += policy_figures(
            name, policy, tools["flux-mini"], requests, seed=seed, store=store
        )
    chat = load_judge(work / "judge-mini")
    for number, (name, tool) in enumerate(tools.items()):
        cases = drawn_cases(count, tool, seed=seed + number, split="held-out")
        figures += judge_figures(chat, cases, drawn_by=name)
    return figures


def install(work: Path) -> Path:
    """Put what ships, and its page, into the folder that is returned."""
    for name in (*TOOLS, *POLICIES, "judge-mini"):
        shutil.copytree(work / name, weights(name), dirs_exist_ok=True)
    shutil.copy(work / "README.md", weights("README.md"))
    return weights("")
