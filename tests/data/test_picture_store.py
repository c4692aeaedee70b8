"""Pictures on disk, by content."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from genagent_data import Picture, PictureStore


def noise(seed: int, size: int = 5) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return Image.fromarray(values)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), size=st.integers(1, 9))
def test_what_is_put_is_got_to_the_pixel(tmp_path_factory, seed, size):
    store = PictureStore(tmp_path_factory.mktemp("store"))
    image = noise(seed, size)
    put = store.put(image)
    got = store.get(put.name)
    assert put.image.tobytes() == got.image.tobytes() == image.tobytes()
    # What is read from disk still has the pixels that its name says.
    assert Picture.of(got.image) == got == put == Picture.of(image)


def test_the_same_pixels_are_kept_once_under_one_name(tmp_path):
    store = PictureStore(tmp_path)
    picture = store.put(noise(1))
    assert store.put(noise(1).copy()) == picture
    assert store.put(noise(2)) != picture
    assert len(list(tmp_path.rglob("*.png"))) == 2
    name = picture.name
    assert store.path(name) == tmp_path / name[:2] / f"{name}.png"
    assert store.path(name).is_file()
    assert not list(tmp_path.rglob("*.partial"))


def test_a_picture_is_kept_as_rgb(tmp_path):
    store = PictureStore(tmp_path)
    grey = Image.new("L", (3, 3), 7)
    assert store.get(store.put(grey).name).image.getpixel((0, 0)) == (7, 7, 7)
    assert store.put(grey) == store.put(grey.convert("RGB"))
    with Image.open(store.path(store.put(grey).name)) as file:
        assert (file.format, file.mode) == ("PNG", "RGB")


def test_what_an_image_carries_beside_its_pixels_is_no_part_of_the_picture(tmp_path):
    store = PictureStore(tmp_path)
    plain, adorned = Image.new("RGB", (3, 3), "red"), Image.new("RGB", (3, 3), "red")
    adorned.info = {"dpi": (300, 300), "transparency": (255, 0, 0), "gamma": 0.5}
    assert store.put(adorned) == store.put(plain)
    got = store.get(Picture.of(plain).name).image
    assert (got.mode, got.tobytes()) == ("RGB", plain.tobytes())


def test_a_picture_is_read_when_it_is_looked_at_and_only_once(tmp_path):
    store = PictureStore(tmp_path)
    name = store.put(noise(1)).name
    looked_at, not_yet = store.get(name), store.get(name)
    image = looked_at.image
    store.path(name).unlink()
    assert looked_at.image is image
    with pytest.raises(FileNotFoundError):
        _ = not_yet.image


def test_a_picture_that_cannot_be_written_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(self, file, *more, **options):
        file.write_bytes(b"half a pic")
        raise OSError("no space left on device")

    store = PictureStore(tmp_path)
    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="no space left"):
        store.put(noise(1))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_an_unknown_name_is_not_found(tmp_path):
    name = "ab" * 32
    with pytest.raises(FileNotFoundError, match=f"no picture {name} in "):
        PictureStore(tmp_path).get(name)


@settings(max_examples=20, deadline=None)
@given(seeds=st.lists(st.integers(0, 5), max_size=12))
def test_pictures_put_together_are_those_put_one_by_one(tmp_path_factory, seeds):
    folder = tmp_path_factory.mktemp("stores")
    together, singly = PictureStore(folder / "a"), PictureStore(folder / "b")
    images = [noise(seed) for seed in seeds]
    pictures = together.put_all(images)
    assert pictures == [singly.put(image) for image in images]
    for image, picture in zip(images, pictures, strict=True):
        assert together.get(picture.name).image.tobytes() == image.tobytes()
    files, wanted = (
        {path.name: path.read_bytes() for path in store.root.rglob("*") if path.is_file()}
        for store in (together, singly)
    )
    assert files == wanted


def test_pictures_put_together_are_written_side_by_side(tmp_path, monkeypatch):
    both = threading.Barrier(2, timeout=10)
    save = Image.Image.save

    def meet(self, *more, **options):
        both.wait()
        save(self, *more, **options)

    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr(Image.Image, "save", meet)
    assert len(PictureStore(tmp_path).put_all([noise(1), noise(2)])) == 2


def test_threads_that_put_the_same_picture_do_not_write_into_each_others_file(
    tmp_path, monkeypatch
):
    threads = 4
    gate = threading.Barrier(threads, timeout=10)
    save = Image.Image.save

    def all_at_once(self, file, *more, **options):
        gate.wait()  # nobody has renamed or removed a file yet
        save(self, file, *more, **options)
        gate.wait()

    store, image = PictureStore(tmp_path), noise(1, 64)
    monkeypatch.setattr(Image.Image, "save", all_at_once)
    with ThreadPoolExecutor(threads) as pool:
        [name] = {picture.name for picture in pool.map(store.put, [image] * threads)}
    assert store.get(name).image.tobytes() == image.tobytes()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [store.path(name)]


def test_an_event_loop_may_put_pictures_through_threads(tmp_path):
    store = PictureStore(tmp_path)
    images = [noise(seed % 5, 64) for seed in range(40)]

    async def put() -> list[Picture]:
        return await asyncio.gather(*(asyncio.to_thread(store.put, one) for one in images))

    assert asyncio.run(put()) == [Picture.of(image) for image in images]
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 5


def test_one_picture_that_cannot_be_written_is_an_error_of_all(tmp_path):
    store, images = PictureStore(tmp_path), [noise(seed) for seed in range(6)]
    blocked = store.path(Picture.of(images[3]).name).parent
    blocked.write_bytes(b"a file where the folder should be")
    with pytest.raises(OSError, match=blocked.name):
        store.put_all(images)
    assert not list(tmp_path.rglob("*.partial"))
