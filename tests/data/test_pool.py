"""The prompt pool: what it keeps, what it drops, and why."""

import json
import os
import random
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from genagent_data import DroppedRequest, PoolConfig, Request, prompt_pool, read_pool

LONG = (
    "a wide watercolour of an old harbour at dawn in which three fishermen in yellow coats mend a "
    "torn net beside a blue rowing boat while gulls circle above the lighthouse on the far pier"
)
WORDS = ("red", "blue", "a", "circle", "and", "two", "left", "of", "the", "big")
prompts = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=40).map(" ".join))


def requests(*prompts: str) -> list[Request]:
    return [Request(id=f"r{number}", prompt=prompt) for number, prompt in enumerate(prompts)]


def pooled(given, config=None) -> tuple[list[Request], list[DroppedRequest]]:
    dropped = []
    kept = list(prompt_pool(given, config=config or PoolConfig(), dropped=dropped.append))
    return kept, dropped


def reasons(dropped) -> list[tuple[str, str, str | None]]:
    return [(drop.request.id, drop.reason, drop.collides_with) for drop in dropped]


def write_lines(path: Path, *prompts: str) -> Path:
    path.write_text("\n".join(prompts))
    return path


def test_the_first_of_the_same_is_kept():
    nearly = LONG.replace("yellow", "orange")
    kept, dropped = pooled(requests(LONG, "A red circle!", "a red circle", nearly, "a blue circle"))
    assert [request.id for request in kept] == ["r0", "r1", "r4"]
    assert reasons(dropped) == [("r2", "duplicate", "r1"), ("r3", "near_duplicate", "r0")]
    assert dropped[1].detail == "similarity 0.85"


def test_the_threshold_is_an_option():
    nearly = LONG.replace("yellow", "orange")
    assert len(pooled(requests(LONG, nearly), PoolConfig(similarity=0.9))[0]) == 2
    kept, dropped = pooled(requests("a red circle", "a red square"), PoolConfig(similarity=0.3))
    assert len(kept) == 2 and not dropped
    kept, dropped = pooled(
        requests("a red circle on the left", "a red circle on the right"),
        PoolConfig(similarity=0.4),
    )
    assert [drop.reason for drop in dropped] == ["near_duplicate"]


@pytest.mark.parametrize(
    ("prompt", "similarity", "closest"),
    [
        (LONG + " now", "0.88", "r0"),
        (LONG.replace("yellow", "orange"), "0.88", "r1"),
        (LONG.replace("yellow", "green") + " now", "0.85", "r1"),
        (LONG.replace("yellow", "green"), "0.85", "r0"),
    ],
)
def test_a_request_collides_with_the_closest_of_those_kept(prompt, similarity, closest):
    both = (LONG, LONG.replace("yellow", "orange") + " now")
    kept, dropped = pooled(requests(*both, prompt))
    assert [request.id for request in kept] == ["r0", "r1"]
    assert reasons(dropped) == [("r2", "near_duplicate", closest)]
    assert dropped[0].detail == f"similarity {similarity}"


@given(prompts)
@example([LONG, LONG.replace("yellow", "orange"), LONG.replace("dawn", "dusk")])
def test_a_pool_keeps_its_order_and_all_of_itself(given):
    first = requests(*given)
    kept, dropped = pooled(first)
    places = [first.index(request) for request in kept]
    assert places == sorted(places)
    assert sorted(r.id for r in [*kept, *(drop.request for drop in dropped)]) == sorted(
        request.id for request in first
    )
    assert pooled(kept) == (kept, [])


@given(prompts.filter(bool), st.data())
def test_no_prompt_of_a_benchmark_survives(tmp_path_factory, given, data):
    benchmark = tmp_path_factory.getbasetemp() / "bench.txt"
    held_out = data.draw(st.lists(st.sampled_from(given), min_size=1))
    write_lines(benchmark, *(prompt.upper() + " ." for prompt in held_out))
    kept, dropped = pooled(requests(*given), PoolConfig(benchmarks=(benchmark,)))
    assert not {request.prompt for request in kept} & set(held_out)
    known = {f"bench/bench-{number}" for number in range(1, len(held_out) + 1)}
    for drop in dropped:
        if drop.reason == "contaminated":
            assert drop.collides_with in known


@pytest.mark.parametrize(
    ("prompt", "detail"),
    [
        ("The Sydney opera house, at noon!", "the same words"),
        (LONG.replace("yellow", "orange"), "similarity 0.85"),
        (
            "my uncle says that an old harbour at dawn in which three men sing is best",
            "both hold 'an old harbour at dawn in which three'",
        ),
        (
            "draw the sydney opera house at noon with a moon",
            "both hold 'the sydney opera house at noon'",
        ),
        ("an old harbour at dawn in which four men sing", None),
        ("a christmas market", None),
        ("christmas", "the same words"),
        ("a lamp of candied violet petals", "both hold 'of candied violet petals'"),
        ("one green whale in fog", None),
        ("the opera house at noon", None),
    ],
)
def test_a_request_is_contaminated_that_is_or_quotes_a_benchmarks(tmp_path, prompt, detail):
    short = ("Of candied violet petals", "Christmas.", "one green whale")
    bench = write_lines(tmp_path / "b.txt", "The Sydney Opera House at noon.", *short, LONG)
    _, dropped = pooled(requests(prompt), PoolConfig(benchmarks=(bench,)))
    assert [(drop.reason, drop.detail) for drop in dropped] == (
        [("contaminated", detail)] if detail else []
    )


def test_a_benchmark_may_have_any_form(tmp_path):
    wise = tmp_path / "wise.json"
    row = {"Prompt": "the fruit of an oak", "Explanation": "an acorn", "prompt_id": 12}
    wise.write_text(json.dumps([row]))
    imagine = tmp_path / "imagine.jsonl"
    imagine.write_text(json.dumps({"id": 3, "instruction": "a cubic sun", "type": "SHAPE"}))
    _, dropped = pooled(
        requests("The fruit of an oak", "A cubic sun."), PoolConfig(benchmarks=(wise, imagine))
    )
    assert reasons(dropped) == [
        ("r0", "contaminated", "wise/12"),
        ("r1", "contaminated", "imagine/3"),
    ]


def test_requests_are_taken_one_by_one_and_no_more_than_the_limit():
    taken = []

    def source():
        for request in requests("a cat", "A cat", "a dog", "an owl", "a cow"):
            taken.append(request.prompt)
            yield request

    pool = prompt_pool(source(), config=PoolConfig(limit=2))
    assert next(pool).prompt == "a cat" and taken == ["a cat"]
    assert [request.prompt for request in pool] == ["a dog"]
    assert taken == ["a cat", "A cat", "a dog"]


def test_ids_differ_between_files(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_lines(tmp_path / folder / "train.txt", "one", "two")
    own = tmp_path / "own.json"
    own.write_text('[{"id": 7, "prompt": "three"}]')
    paths = (tmp_path / "a" / "train.txt", own, tmp_path / "b" / "train.txt")
    assert [request.id for request in read_pool(paths)] == [
        "a.train/train-1",
        "a.train/train-2",
        "own/7",
        "b.train/train-1",
        "b.train/train-2",
    ]
    assert [request.id for request in read_pool(paths[:1])] == ["train/train-1", "train/train-2"]


def test_an_id_that_was_kept_is_refused():
    given = [Request(id="x", prompt="a cat"), Request(id="x", prompt="a dog")]
    with pytest.raises(ValueError, match="id 'x' is given twice; give each request its own"):
        pooled(given)


def test_problems_are_a_line_each(tmp_path):
    good = write_lines(tmp_path / "good.txt", "a cat")
    bad = write_lines(tmp_path / "bad.jsonl", "{")
    missing = tmp_path / "none.txt"
    assert PoolConfig(files=(good,), benchmarks=(good,)).problems() == []
    lines = PoolConfig(
        files=(good, bad, good), benchmarks=(missing,), similarity=1.0, limit=0
    ).problems()
    expected = (
        "similarity is 1.0; give a number from 0.3 to 0.95",
        "limit is 0; keep at least one request",
        f"{bad}:1: not JSON",
        f"[Errno 2] No such file or directory: '{missing}'",
        f"files: 2 files are called '{tmp_path.name}.good'; rename one",
    )
    assert len(lines) == len(expected)
    for line, start in zip(lines, expected, strict=True):
        assert line.startswith(start) and "\n" not in line


def echo_folder(root: Path, *, archived: bool) -> Path:
    """Two rows and their pictures, red and blue."""
    folder = root / "Surrel-Fantasy-Image"
    images = folder / "images"
    images.mkdir(parents=True)
    rows = []
    for number, color in enumerate(("red", "blue")):
        name = f"0000{number}.jpg"
        Image.new("RGB", (8, 8), color).save(images / name)
        place = f"/Echo-4o-Image/Surrel-Fantasy-Image/images/{name}"
        row = {"task_type": "t2i", "instruction": f"a {color} sun", "output_image": place}
        rows.append(json.dumps(row | {"type": "T1"}))
    (folder / "conflict.jsonl").write_text("\n".join(rows))
    if archived:
        with tarfile.open(images / "0-5000.tar.gz", "w:gz") as tar:
            for path in sorted(images.glob("*.jpg")):
                tar.add(path, arcname=f"0-5000/{path.name}")
                path.unlink()
    return folder


@pytest.mark.parametrize("archived", [False, True])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_references_are_pictures_that_can_be_opened(tmp_path, archived, elsewhere):
    folder = echo_folder(tmp_path, archived=archived)
    unpacked = tmp_path / "unpacked"
    config = PoolConfig(files=(folder,), unpacked=unpacked if elsewhere else None)
    kept, dropped = pooled(read_pool(config.files), config)
    assert dropped == []
    place = unpacked / folder.name if elsewhere and archived else folder / "images"
    assert [request.reference for request in kept] == [
        str(place / "00000.jpg"),
        str(place / "00001.jpg"),
    ]
    assert kept[1].reference is not None
    with Image.open(kept[1].reference) as image:
        assert image.getpixel((0, 0)) == (0, 0, 254)


def test_a_reference_of_no_use_is_a_drop(tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    given = [
        Request(id="a", prompt="a cat", reference=str(broken)),
        Request(id="b", prompt="a dog", reference=str(tmp_path / "none.png")),
        Request(id="c", prompt="a dog"),
        Request(id="d", prompt="a dog", reference=str(tmp_path / "none.png")),
    ]
    kept, dropped = pooled(given)
    assert [request.id for request in kept] == ["c"]
    assert reasons(dropped) == [
        ("a", "reference", None),
        ("b", "reference", None),
        ("d", "duplicate", "c"),
    ]
    assert dropped[1].detail == f"{tmp_path / 'none.png'}: there is no such picture"


def test_only_archives_in_a_folder_of_images_are_unpacked(tmp_path):
    with tarfile.open(tmp_path / "backup.tar.gz", "w:gz") as tar:
        tar.add(write_lines(tmp_path / "other.txt", "mine"), arcname="a.png")
    missing = tmp_path / "a.png"
    kept, dropped = pooled([Request(id="a", prompt="a cat", reference=str(missing))])
    assert kept == []
    assert dropped[0].detail == f"{missing}: there is no such picture"
    assert not missing.exists()


def test_a_damaged_archive_costs_the_pictures_behind_the_damage(tmp_path):
    folder = echo_folder(tmp_path, archived=False)
    archive = folder / "images" / "0-5000.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for number in range(2):
            path = folder / "images" / f"0000{number}.jpg"
            noise = random.Random(number).randbytes(3 * 256 * 256)
            Image.frombytes("RGB", (256, 256), noise).save(path)
            tar.add(path, arcname=path.name)
            path.unlink()
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size * 3 // 4])
    kept, dropped = pooled(read_pool((folder,)))
    assert [request.prompt for request in kept] == ["a red sun"]
    assert [drop.request.prompt for drop in dropped] == ["a blue sun"]
    assert dropped[0].reason == "reference"
    missing = folder / "images" / "00001.jpg"
    assert dropped[0].detail.startswith(
        f"{missing}: there is no such picture; {archive}: cannot be read to its end ("
    )


def test_pools_are_the_same_whatever_seeds_pythons_hashes(tmp_path):
    code = (
        "import random, sys; from genagent_data import PoolConfig, Request, prompt_pool\n"
        "rng = random.Random(0)\n"
        "texts = [' '.join(rng.choice('abc') for _ in range(14)) for _ in range(400)]\n"
        "given = [Request(id=str(n), prompt=t) for n, t in enumerate(texts)]\n"
        "drops = []\n"
        "config = PoolConfig(similarity=0.5)\n"
        "kept = [r.id for r in prompt_pool(given, config=config, dropped=drops.append)]\n"
        "print(kept, [(d.request.id, d.collides_with, d.detail) for d in drops])\n"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]
    assert "similarity 0.5" in outputs[0]
