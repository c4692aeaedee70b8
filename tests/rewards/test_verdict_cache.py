"""Verdicts on disk: keys, durability, sharing, damage."""

import resource
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.small_disk import small_disk

from genagent_rewards import (
    PairQuestion,
    Picture,
    PointQuestion,
    Verdict,
    VerdictCache,
    kept_file,
    prompts,
)
from genagent_rewards.verdict_cache import question_key

VERDICT = Verdict(choice="no", reason="2 red circles", judge="j", raw="2 … <verdict>no</verdict>")
PICTURES = st.builds(
    lambda mode, size, seed: Picture.of(
        Image.frombytes(
            mode, size, bytes((seed * 7 + n) % 256 for n in range(size[0] * size[1] * len(mode)))
        )
    ),
    st.sampled_from(["L", "RGB"]),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.integers(0, 255),
)
HINTS = st.lists(st.text(max_size=6), max_size=3).map(tuple)


def point(request="r", hints=("h",), value=0) -> PointQuestion:
    picture = Picture.of(Image.new("RGB", (2, 2), (value,) * 3))
    return PointQuestion(request=request, hints=hints, picture=picture)


@given(request=st.text(), hints=HINTS, picture=PICTURES, judge=st.text(min_size=1), data=st.data())
def test_the_key_changes_with_any_field_and_with_nothing_else(request, hints, picture, judge, data):
    question = PointQuestion(request=request, hints=hints, picture=picture)
    key = question_key(question, judge)
    copy = Picture.of(picture.image.convert("RGBA"))
    copy = PointQuestion(request=request, hints=hints, picture=copy)
    assert question_key(copy, judge) == key
    other = {
        "request": data.draw(st.text().filter(lambda text: text != request)),
        "hints": data.draw(HINTS.filter(lambda other: other != hints)),
        "picture": data.draw(
            PICTURES.filter(
                lambda other: (
                    (other.image.size, other.image.tobytes())
                    != (picture.image.size, picture.image.tobytes())
                )
            )
        ),
    }
    changed = [replace(question, **{name: value}) for name, value in other.items()]
    keys = [key, question_key(question, judge + "2")]
    keys += [question_key(one, judge) for one in changed]
    keys += [
        question_key(PairQuestion(request=request, hints=hints, first=first, second=second), judge)
        for first, second in (
            (picture, picture),
            (picture, other["picture"]),
            (other["picture"], picture),
        )
    ]
    assert len(set(keys)) == len(keys)


def test_the_key_changes_with_the_wording(monkeypatch):
    before = question_key(point(), "j")
    monkeypatch.setattr(prompts, "VERSION", "another")
    assert question_key(point(), "j") != before


def test_the_key_is_the_same_in_every_version(monkeypatch):
    monkeypatch.setattr(prompts, "VERSION", "1")
    assert question_key(point(), "j") == (
        "bb65123343e8e3af3f8d92a1a1881c4144d1bdf84ecfc11848d919a46e80c3b5"
    )


def test_pictures_of_equal_bytes_and_other_shape_mode_or_palette_are_others():
    def key(image: Image.Image) -> str:
        question = PointQuestion(request="", hints=(), picture=Picture.of(image))
        return question_key(question, "j")

    wide, high = Image.new("L", (4, 1)), Image.new("L", (1, 4))
    red, blue = (Image.new("P", (4, 1)) for _ in range(2))
    red.putpalette([255, 0, 0])
    blue.putpalette([0, 0, 255])
    assert len({key(image) for image in (wide, high, red, blue)}) == 4


@settings(max_examples=30, deadline=None)
@given(
    choice=st.sampled_from(["yes", "no", "first", "second", "tie"]),
    texts=st.tuples(*[st.text(st.characters(codec="utf-8"))] * 3),
)
def test_a_verdict_comes_back_as_it_was(tmp_path_factory, choice, texts):
    reason, judge, raw = texts
    verdict = Verdict(choice=choice, reason=reason, judge=judge, raw=raw)
    path = tmp_path_factory.mktemp("cache") / "verdicts.sqlite"
    with VerdictCache(path) as cache:
        cache.store("k", verdict)
        assert cache.find(["k", "other"]) == {"k": verdict}
    with VerdictCache(path) as cache:
        assert cache.find(["k"]) == {"k": verdict}


def test_threads_share_a_cache(tmp_path):
    with VerdictCache(tmp_path / "deep" / "er" / "verdicts.sqlite") as cache:

        def work(name: int) -> None:
            for number in range(40):
                cache.store(f"{name}-{number}", VERDICT)
                assert cache.find([f"{name}-{number}"])

        threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(cache) == 160


WRITER = """
import sys
from genagent_rewards import Verdict, VerdictCache
verdict = Verdict(choice="yes", reason="", judge=sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
with VerdictCache(sys.argv[1]) as cache:
    for number in range(100):
        cache.store(f"{sys.argv[2]}-{number}", verdict)
"""


def test_processes_share_a_cache_even_while_it_is_created(tmp_path):
    path = tmp_path / "verdicts.sqlite"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "abc"
    ]
    for writer in writers:
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=120)
        assert writer.returncode == 0
    with VerdictCache(path) as cache:
        assert len(cache) == 300


def test_a_process_that_is_killed_has_lost_nothing(tmp_path):
    path = tmp_path / "verdicts.sqlite"
    code = (
        "import os, sys; from genagent_rewards import Verdict, VerdictCache;"
        "cache = VerdictCache(sys.argv[1]);"
        "cache.store('k', Verdict(choice='tie', reason='r', judge='j'));"
        "os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode == -9
    with VerdictCache(path) as cache:
        assert cache.find(["k"])["k"].choice == "tie"


def filled(path) -> int:
    with VerdictCache(path) as cache:
        for number in range(300):
            cache.store(f"{number:05d}" * 12, VERDICT)
    return path.stat().st_size


def test_damage_is_named_with_a_remedy(tmp_path):
    garbage = tmp_path / "garbage.sqlite"
    garbage.write_bytes(b"not a database" * 100)
    cut = tmp_path / "cut.sqlite"
    size = filled(cut)
    cut.write_bytes(cut.read_bytes()[: size // 2])
    smeared = tmp_path / "smeared.sqlite"
    filled(smeared)
    content = bytearray(smeared.read_bytes())
    content[4096:12288] = b"\xa5" * 8192
    smeared.write_bytes(content)
    for path in (garbage, cut, smeared):
        with pytest.raises(ValueError, match=rf"{path.name} is damaged .*; move it away"):
            VerdictCache(path)


def test_a_row_that_is_no_verdict_is_damage(tmp_path):
    path = tmp_path / "verdicts.sqlite"
    with VerdictCache(path) as cache:
        cache.store("k", VERDICT)
        with sqlite3.connect(path) as other:
            other.execute("UPDATE verdicts SET choice = 'perhaps'")
        other.close()
        with pytest.raises(ValueError, match=r"damaged .a verdict is 'perhaps'"):
            cache.find(["k"])


@pytest.mark.parametrize("column", ["reason", "judge", "raw", "choice"])
@pytest.mark.parametrize("value", ["CAST(x'ff' AS TEXT)", "x'ff'"])
def test_words_that_are_no_text_are_damage(tmp_path, column, value):
    path = tmp_path / "verdicts.sqlite"
    with VerdictCache(path) as cache:
        cache.store("k", VERDICT)
        with sqlite3.connect(path) as other:
            other.execute(f"UPDATE verdicts SET {column} = {value}")
        other.close()
        with pytest.raises(ValueError, match=r"^verdict cache .* is damaged .*; move it away"):
            cache.find(["k"])


def test_a_lock_that_lasts_is_one_line_with_a_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(kept_file, "_PATIENCE_SECONDS", 0.05)
    path = tmp_path / "verdicts.sqlite"
    with VerdictCache(path) as cache:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OSError, match=r"is locked; another process writes to it: wait"):
            cache.store("k", VERDICT)
        other.execute("ROLLBACK")
        other.close()
        cache.store("k", VERDICT)
        assert len(cache) == 1


def test_another_programs_database_is_left_alone(tmp_path):
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE t (x)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"other.sqlite is another program's database"):
        VerdictCache(path)
    assert path.read_bytes() == before


def test_a_write_that_a_file_system_refuses_is_one_line_with_a_remedy(tmp_path):
    verdict = Verdict(choice="yes", reason="r", judge="j", raw="x" * 100_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with VerdictCache(tmp_path / "verdicts.sqlite") as cache:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
        try:
            with pytest.raises(OSError, match=r"disk I/O error; on a network .* a local disk$"):
                cache.store("k", verdict)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        cache.store("k", verdict)
        assert cache.find(["k"]) == {"k": verdict}


def test_a_folder_is_no_cache(tmp_path):
    with pytest.raises(ValueError, match="is a folder; name a file"):
        VerdictCache(tmp_path)


def test_a_full_disk_is_one_line_with_the_file_and_nothing_kept_is_lost(tmp_path):
    verdict = Verdict(choice="yes", reason="r", judge="j", raw="x" * 2000)
    kept = 0
    with small_disk(tmp_path / "disk", 256) as enlarge:
        path = tmp_path / "disk" / "verdicts.sqlite"
        with VerdictCache(path) as cache:
            with pytest.raises(OSError, match=f"^verdict cache {path}: [^\n]*full$"):
                while True:
                    cache.store(f"key {kept}", verdict)
                    kept += 1
            enlarge(4096)
            assert kept and len(cache) == kept
            cache.store("later", verdict)
        with VerdictCache(path) as cache:
            assert len(cache) == kept + 1 and cache.find(["key 0"]) == {"key 0": verdict}
