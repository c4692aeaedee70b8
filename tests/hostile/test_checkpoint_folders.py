"""The door of checkpoint folders: every weight comes from the folder's safetensors, or one line
says which file is at fault; no pickle is opened, and no code that comes along is run."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from genagent_miniworld import weights
from genagent_policy import Policy
from genagent_rewards import LocalChat
from genagent_tools import DiffusersTool
from genagent_tools.loading import Overrides, folder_profile

KINDS = ("judge", "policy", "tool")
SAID = Overrides(width=48, height=48, steps=1, guidance=0.0, text_tokens=24, dtype="float32")


def load(kind: str, folder: Path) -> object:
    if kind == "judge":
        return LocalChat.load(folder, max_tokens=8)
    if kind == "policy":
        return Policy.load(folder)
    return DiffusersTool.from_profile(folder_profile(folder, SAID), path=folder, device="cpu")


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[str], tuple[Path, Path]]:
    """A folder to damage, and the one of its part that has weights."""

    def make(kind: str) -> tuple[Path, Path]:
        name = {"judge": "judge-mini", "policy": "sft", "tool": "flux-mini"}[kind]
        folder = Path(shutil.copytree(weights(name), tmp_path / kind))
        return folder, folder / "vae" if kind == "tool" else folder

    return make


class Planted:
    """Leaves a file where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.trace}",)


def tensors_of(part: Path) -> Path:
    [file] = part.glob("*.safetensors")
    return file


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_weight_is_not_drawn_at_random(copy, kind):
    folder, part = copy(kind)
    file = tensors_of(part)
    state = load_file(file)
    name = {"tool": "decoder.conv_out.weight"}.get(kind, "lm_head.weight")
    del state[name]
    save_file(state, file, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=f"missing keys in the weights: 1, first {name}") as raised:
        load(kind, folder)
    assert str(raised.value).startswith(str(part))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["instead", "named by the index", "outside, by the index"])
def test_pickles_are_never_reached(copy, tmp_path, kind, way):
    folder, part = copy(kind)
    file, trace = tensors_of(part), tmp_path / "planted"
    bad = pickle.dumps(Planted(trace))
    stem = file.name.removesuffix(".safetensors")
    for name in (f"{stem}.bin", "pytorch_model.bin", "diffusion_pytorch_model.bin"):
        (part / name).write_bytes(bad)
    (tmp_path / "outside.bin").write_bytes(bad)
    if way == "instead":
        file.unlink()
    else:
        names = dict.fromkeys(load_file(file), f"{stem}.bin")
        if way.startswith("outside"):
            names = dict.fromkeys(names, os.path.relpath(tmp_path / "outside.bin", part))
        index = {"metadata": {"total_size": 1}, "weight_map": names}
        (part / f"{stem}.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match=r"\.safetensors") as raised:
        load(kind, folder)
    assert str(raised.value).startswith(str(part))
    assert not trace.exists()


@pytest.mark.parametrize("kind", ["judge", "policy"])
def test_kernels_are_not_fetched_for_a_checkpoint(copy, kind):
    folder, _ = copy(kind)
    settings_file = folder / "config.json"
    asked = json.loads(settings_file.read_text())
    asked["text_config"]["_attn_implementation"] = "someone/their-kernel"
    settings_file.write_text(json.dumps(asked))
    with pytest.raises(ValueError, match=r"text_config._attn_implementation is 'someone/their-ker"):
        load(kind, folder)


def test_code_that_comes_with_a_checkpoint_is_not_run(copy, tmp_path):
    folder, _ = copy("judge")
    trace = tmp_path / "planted"
    (folder / "own.py").write_text(f"open({str(trace)!r}, 'w')\nclass Own: pass\n")
    own = {"AutoConfig": "own.Own", "AutoModelForImageTextToText": "own.Own"}
    for name in ("config.json", "processor_config.json"):
        found = json.loads((folder / name).read_text())
        (folder / name).write_text(
            json.dumps(found | {"auto_map": own | {"AutoProcessor": "own.Own"}})
        )
    # The library's own class of that name stands in, or the folder is refused.
    try:
        load("judge", folder)
    except ValueError as error:
        assert str(error).startswith(str(folder))
    assert not trace.exists()


def test_a_pipeline_of_other_libraries_imports_none_of_them(copy):
    folder, _ = copy("tool")
    index = folder / "model_index.json"
    found = json.loads(index.read_text())
    index.write_text(json.dumps(found | {"scheduler": ["antigravity", "Scheduler"]}))
    with pytest.raises(ValueError, match="wants a class of diffusers or transformers"):
        load("tool", folder)


DAMAGE = st.one_of(
    st.tuples(st.just("cut"), st.floats(0, 1)),
    st.tuples(st.just("noise"), st.binary(min_size=1, max_size=40)),
    st.tuples(st.just("deep"), st.sampled_from([b"[" * 100_000, b'{"a":' * 100_000])),
    st.tuples(st.just("gone"), st.none()),
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), damage=DAMAGE)
def test_a_damaged_judge_is_itself_or_one_line(copy_once, tmp_path_factory, data, damage):
    whole, pristine = copy_once
    folder = Path(shutil.copytree(pristine, tmp_path_factory.mktemp("d") / "judge"))
    file = folder / data.draw(st.sampled_from(sorted(path.name for path in folder.iterdir())))
    content, (kind, how) = file.read_bytes(), damage
    if kind == "gone":
        file.unlink()
    elif kind == "cut":
        file.write_bytes(content[: int(len(content) * how)])
    elif kind == "noise":
        # Among the first bytes, which is where settings and headers are.
        place = data.draw(st.integers(0, min(len(content), 2000)))
        file.write_bytes(content[:place] + how + content[place + len(how) :])
    else:
        file.write_bytes(how)
    try:
        chat = LocalChat.load(folder, max_tokens=8)
    except ValueError as error:
        assert str(folder.name) in str(error)
        assert "\n" not in str(error)
    else:
        if file.suffix != ".safetensors":
            assert chat.model.lm_head.weight.equal(whole.model.lm_head.weight)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def copy_once() -> tuple[LocalChat, Path]:
    return LocalChat.load(weights("judge-mini"), max_tokens=8), weights("judge-mini")
