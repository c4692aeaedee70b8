import json
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from genagent_policy import Policy


@pytest.fixture
def checkpoint(tiny_policy_path: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(tiny_policy_path, tmp_path / "copy"))


@contextmanager
def _files_of_at_most(size: int) -> Iterator[None]:
    """Writing beyond it fails as it does on a full disk, in whatever library does the writing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _weights(policy: Policy) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in policy.model.state_dict().items()}


def test_saved_and_loaded_is_the_same(each_policy: Policy, tmp_path: Path):
    each_policy.save(tmp_path / "new" / "policy")
    again = Policy.load(tmp_path / "new" / "policy")
    expected = _weights(each_policy)
    assert {
        name: bool(torch.equal(tensor, expected[name])) for name, tensor in _weights(again).items()
    } == dict.fromkeys(expected, True)
    prompt = "three <|im_end|> circles"
    assert again.chat.prompt_ids(prompt) == each_policy.chat.prompt_ids(prompt)
    assert [entry.name for entry in (tmp_path / "new").iterdir()] == ["policy"]


def test_dtype_of_choice(tiny_policy_path: Path):
    assert Policy.load(tiny_policy_path).dtype == torch.float32
    assert Policy.load(tiny_policy_path, dtype=torch.bfloat16).dtype == torch.bfloat16


def test_saving_replaces_what_was_there(checkpoint: Path):
    policy = Policy.load(checkpoint)
    (checkpoint / "stray").write_text("from before")
    with torch.no_grad():
        policy.head_weight.add_(1.0)
    policy.save(checkpoint)
    assert torch.equal(Policy.load(checkpoint).head_weight, policy.head_weight)
    assert not (checkpoint / "stray").exists()
    assert [entry.name for entry in checkpoint.parent.iterdir()] == ["copy"]


def test_a_full_disk_leaves_the_older_checkpoint(checkpoint: Path):
    policy = Policy.load(checkpoint)
    before = _weights(policy)
    with torch.no_grad():
        policy.head_weight.add_(1.0)
    with _files_of_at_most(100_000), pytest.raises(OSError):
        policy.save(checkpoint)
    assert torch.equal(Policy.load(checkpoint).head_weight, before["lm_head.weight"])
    assert [entry.name for entry in checkpoint.parent.iterdir()] == ["copy"]


def test_a_full_disk_leaves_nothing_half_written(tiny_policy: Policy, tmp_path: Path):
    with _files_of_at_most(100_000), pytest.raises(OSError):
        tiny_policy.save(tmp_path / "policy")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written(tiny_policy: Policy, tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        tiny_policy.save(tmp_path / "file" / "policy")


def _remove(path: Path) -> None:
    shutil.rmtree(path)


def _no_config(path: Path) -> None:
    (path / "config.json").unlink()


def _broken_config(path: Path) -> None:
    (path / "config.json").write_text("{")


def _foreign(path: Path) -> None:
    (path / "config.json").write_text(json.dumps({"model_type": "llama"}))


def _truncated(path: Path) -> None:
    weights = path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:50_000])


def _no_weights(path: Path) -> None:
    (path / "model.safetensors").unlink()


def _weight_missing(path: Path) -> None:
    weights = load_file(path / "model.safetensors")
    weights.pop("lm_head.weight")
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})


def _weight_of_another_shape(path: Path) -> None:
    weights = load_file(path / "model.safetensors")
    weights["lm_head.weight"] = weights["lm_head.weight"][:10].clone()
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})


def _no_tokenizer(path: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (path / name).unlink()


def _broken_tokenizer(path: Path) -> None:
    (path / "tokenizer.json").write_text("{}")


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (_remove, "no readable config.json"),
        (_no_config, "no readable config.json"),
        (_broken_config, "not JSON"),
        (_foreign, "architecture 'llama'"),
        (_truncated, "has .* bytes of .*; copy it again"),
        (_no_weights, "holds no .safetensors file"),
        (_weight_missing, "lm_head.weight"),
        (_weight_of_another_shape, "lm_head.weight"),
        (_no_tokenizer, "tokenizer does not know"),
        (_broken_tokenizer, "cannot be read"),
    ],
)
def test_a_checkpoint_that_is_none_is_named(
    checkpoint: Path, damage: Callable[[Path], None], complaint: str, capfd: pytest.CaptureFixture
):
    damage(checkpoint)
    with pytest.raises(ValueError, match=complaint) as caught:
        Policy.load(checkpoint)
    assert str(checkpoint) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_file_is_no_checkpoint(tmp_path: Path):
    (tmp_path / "weights.bin").write_bytes(b"\x80\x04")
    with pytest.raises(ValueError, match=r"weights\.bin"):
        Policy.load(tmp_path / "weights.bin")
