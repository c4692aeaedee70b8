"""Hugging Face data sets: pictures inside, read back as they were, and loaded by nobody else."""

import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage
from tests.data.record_examples import BLUE, CALL, DONE, RED, pixels, record, records

from genagent_data import RecordError, system_message

datasets = pytest.importorskip("datasets")

from genagent_data.hf_datasets import (  # noqa: E402
    from_dataset,
    read_dataset,
    to_dataset,
    write_dataset,
)


@settings(max_examples=25)
@given(written=st.lists(records(), max_size=3))
@example(written=[record(prompt="an <image> of <|im_end|>")])
def test_a_data_set_of_records_gives_the_records(written):
    read = list(from_dataset(to_dataset(iter(written))))
    assert read == written
    assert [pixels(one) for one in read] == [pixels(one) for one in written]


@settings(max_examples=6)
@given(written=st.lists(records(), min_size=1, max_size=3))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, written):
    folder = tmp_path_factory.mktemp("datasets")
    assert write_dataset(folder, iter(written)) == len(written)
    assert list(read_dataset(folder)) == written


def test_the_library_itself_sees_conversations_and_pictures(tmp_path):
    write_dataset(tmp_path / "data", [record(words=60, rounds=1)] * 20)
    dataset = datasets.load_dataset(
        str(tmp_path / "data"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert len(dataset) == 20
    assert dataset.features["images"] == datasets.List(datasets.Image())
    row = dataset[19]
    assert isinstance(row["images"][0], PillowImage.Image)
    assert row["images"][0].tobytes() == RED.image.tobytes()
    assert [(m["role"], [p["type"] for p in m["content"]]) for m in row["messages"]] == [
        ("system", ["text"]),
        ("user", ["text"]),
        ("assistant", ["text"]),
        ("user", ["text", "image", "text"]),
        ("assistant", ["text"]),
    ]
    texts = [part["text"] for m in row["messages"] for part in m["content"]]
    assert texts == [
        system_message(words=60),
        "three circles",
        CALL,
        "<tool_response>\n",
        None,
        "\n</tool_response>",
        DONE,
    ]
    assert list(from_dataset(dataset.select([3]))) == [record(words=60, rounds=1)]


def test_a_bad_row_is_one_clear_line_with_its_place(tmp_path):
    def spoil(row, index):
        return {"images": row["images"] + ([BLUE.image] if index == 1 else [])}

    dataset = to_dataset([record("a"), record("b"), record("c")]).map(spoil, with_indices=True)
    with pytest.raises(RecordError, match=r"^row 2: 3 images and 2 parts for them") as caught:
        list(from_dataset(dataset))
    assert caught.value.reason == "picture_count"
    dropped = Counter()
    kept = list(from_dataset(dataset, drop=lambda error: dropped.update([error.reason])))
    assert ([one.request.id for one in kept], dropped) == (["a", "c"], {"picture_count": 1})
    with pytest.raises(ValueError, match="no column 'images'"):
        list(from_dataset(dataset.remove_columns("images")))
    with pytest.raises(FileNotFoundError, match=r"no \.parquet file in"):
        read_dataset(tmp_path)


def test_importing_the_package_loads_neither_library():
    code = "import sys, genagent_data; print({'datasets', 'pyarrow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
