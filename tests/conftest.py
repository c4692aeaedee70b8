"""Fixtures shared by the tests of several packages, and where Triton's kernels run."""

import os
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tests.names import faults, legible
from tests.tiny_qwen import save_tiny_qwen, save_tiny_qwen3

# What an example takes says how busy the machine is. The rest stays as it is, here or where CI is
# set.
settings.register_profile(
    "untimed", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
# Laws are tried with a tenth of the examples: `just quick`.
settings.register_profile("quick", settings.get_profile("untimed"), max_examples=10)
settings.load_profile("untimed")

# Each of several test processes, and what they start, keeps to one core. OpenMP reads it when torch
# is first imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Without a GPU, Triton's interpreter runs the kernels. Triton reads it when it is first imported,
# and the tests of other packages, which are collected before the kernels', may do that.
if find_spec("torch") is not None:
    import torch

    if not torch.cuda.is_available():
        os.environ.setdefault("TRITON_INTERPRET", "1")


def pytest_make_parametrize_id(val: object) -> str | None:
    """Names a case by its value where that can be read, else by what can be read of it."""
    return legible(val)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if found := faults(item.nodeid for item in items):
        raise pytest.UsageError("\n".join(found))


@pytest.fixture(scope="session")
def tiny_policy_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved, random Qwen2.5-VL that knows the system message by heart, so prompts are short."""
    path = tmp_path_factory.mktemp("tiny") / "policy"
    return save_tiny_qwen(path, seed=20, learnt=_system_message())


@pytest.fixture(scope="session")
def tiny_qwen3_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of a Qwen3-VL."""
    path = tmp_path_factory.mktemp("tiny3") / "policy"
    return save_tiny_qwen3(path, seed=21, learnt=_system_message())


@pytest.fixture(scope="session", params=["tiny_policy_path", "tiny_qwen3_path"])
def each_path(request: pytest.FixtureRequest) -> Path:
    """One of each family, for what holds for all of them."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def each_policy(each_path: Path):
    """One of each family, for tests that do not change it."""
    from genagent_policy import Policy

    return Policy.load(each_path)


def _system_message() -> list[str]:
    from genagent_data import SYSTEM_MESSAGE

    pieces = re.split("</?[a-z_]+>", SYSTEM_MESSAGE)
    return ["system\n" + pieces[0], *pieces[1:]]


@pytest.fixture(scope="session")
def tiny_policy(tiny_policy_path: Path):
    """The tiny policy for tests that do not change it."""
    from genagent_policy import Policy

    return Policy.load(tiny_policy_path)


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Annotations are not checked: for arguments that the code itself must refuse."""
    from jaxtyping import config

    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)
