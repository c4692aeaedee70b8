"""Checkpoints told apart without reading them whole."""

from pathlib import Path

from genagent_weights import fingerprint

LARGE = 3 << 20


def test_a_change_at_either_edge_of_the_weights_or_in_a_small_file_is_seen(tmp_path: Path):
    weights, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    seen = set()
    for edit in (None, 0, LARGE - 1):
        content = bytearray(LARGE)
        if edit is not None:
            content[edit] = 1
        weights.write_bytes(content)
        config.write_text("{}")
        seen.add(fingerprint(tmp_path))
    config.write_text('{"a": 1}')
    seen.add(fingerprint(tmp_path))
    (tmp_path / "more.txt").write_text("")
    seen.add(fingerprint(tmp_path))
    assert len(seen) == 5
    assert fingerprint(tmp_path) in seen


def test_what_a_download_leaves_in_hidden_folders_is_no_part_of_the_weights(tmp_path: Path):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    before = fingerprint(tmp_path)
    (tmp_path / ".cache" / "huggingface").mkdir(parents=True)
    (tmp_path / ".cache" / "huggingface" / "model.lock").write_text("")
    assert fingerprint(tmp_path) == before
    assert fingerprint(tmp_path / ".cache") != fingerprint(tmp_path)


def test_a_file_of_weights_has_a_fingerprint_whatever_its_name(tmp_path: Path):
    one, other = tmp_path / ".a.safetensors", tmp_path / ".b.safetensors"
    one.write_bytes(b"1")
    other.write_bytes(b"22")
    assert fingerprint(one) != fingerprint(other)
