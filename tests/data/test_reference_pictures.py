"""Reference pictures: where they are, and which are of use."""

import io
import struct
import tarfile
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageFile
from tests.hostile.drawn import NO_PALETTE

from genagent_data import RecordError
from genagent_data.picture_check import picture_file
from genagent_data.reference_pictures import (
    ArchivedPictures,
    PictureFolder,
    UnusableReference,
    read_reference,
)


def png_of_size(width: int, height: int) -> bytes:
    """A file that says it has that size and is black, of which only the header need be read."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


def archive_of(path: Path, members: dict[str, bytes], *, links: dict[str, str] | None = None):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)


def test_a_picture_is_found_by_its_basename(tmp_path):
    (tmp_path / "0-5000").mkdir()
    (tmp_path / "5000-10000").mkdir()
    for folder in ("5000-10000", "0-5000"):
        (tmp_path / folder / "00001.jpg").touch()
    folder = PictureFolder(tmp_path)
    assert folder.path("00001.jpg") == str(tmp_path / "0-5000" / "00001.jpg")
    assert folder.path("00002.jpg") == str(tmp_path / "00002.jpg")


@pytest.mark.parametrize("save", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_picture_is_of_use(tmp_path, save, mode):
    path = tmp_path / "a.jpg"
    Image.new(mode, (8, 8)).save(path, save)
    picture = read_reference(path)
    assert (picture.size, picture.mode) == ((8, 8), "RGB")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("save", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
@pytest.mark.parametrize("keep", [0.0, 0.05, 0.3, 0.8])
def test_part_of_a_picture_is_of_none(tmp_path, save, keep):
    path = tmp_path / "a.jpg"
    Image.radial_gradient("L").save(path, save)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(UnusableReference) as refused:
        read_reference(path)
    assert refused.value.why == "unreadable"
    line = str(refused.value)
    assert line.startswith(f"{path}: is no picture that can be decoded") and "\n" not in line


@pytest.mark.parametrize("error", [zlib.error("-3"), IndexError("3"), struct.error("4 bytes")])
def test_whatever_pillow_says_of_a_broken_picture_it_is_unreadable(tmp_path, monkeypatch, error):
    path = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(path)

    def fail(image: Image.Image) -> None:
        raise error

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with pytest.raises(UnusableReference) as refused:
        read_reference(path)
    assert refused.value.why == "unreadable"
    with pytest.raises(RecordError, match=r"a\.png cannot be decoded") as dropped:
        picture_file(path)
    assert dropped.value.reason == "broken_picture"


def test_a_palette_picture_without_its_palette_is_unreadable(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(NO_PALETTE)
    with pytest.raises(UnusableReference) as refused:
        read_reference(path)
    assert refused.value.why == "unreadable"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("size", "named"),
    [
        ((8192, 8193), "8192x8193"),
        ((10000, 10000), "10000x10000"),
        ((100_000, 100_000), "more than twice as many as Pillow opens"),
    ],
)
def test_too_many_pixels_are_refused_by_the_header(tmp_path, size, named):
    path = tmp_path / "a.png"
    path.write_bytes(png_of_size(*size))
    with pytest.raises(UnusableReference) as refused:
        read_reference(path)
    assert refused.value.why == "too_large"
    assert str(refused.value) == (
        f"{path}: has too many pixels ({named}); at most 67108864 are read"
    )


def test_no_picture_is_no_picture(tmp_path):
    with pytest.raises(UnusableReference) as refused:
        read_reference(tmp_path)
    assert refused.value.why == "missing"
    assert str(refused.value) == f"{tmp_path}: there is no such picture"


def test_archives_are_read_as_far_as_asked(tmp_path):
    archive_of(tmp_path / "0.tar.gz", {"x/a.jpg": b"A", "x/b.jpg": b"B"})
    archive_of(tmp_path / "1.tar.gz", {"c.jpg": b"C", "d.jpg": b"D"})
    unpacked = tmp_path / "unpacked"
    archives = ArchivedPictures(tmp_path, unpacked=unpacked)
    assert archives.find("c.jpg") == unpacked / "c.jpg"
    assert sorted(path.name for path in unpacked.iterdir()) == ["a.jpg", "b.jpg", "c.jpg"]
    assert (unpacked / "c.jpg").read_bytes() == b"C"
    assert archives.find("a.jpg") == unpacked / "a.jpg"
    assert archives.find("e.jpg") is None
    assert archives.find("d.jpg") == unpacked / "d.jpg"
    assert archives.damaged == []


def test_archives_write_nothing_outside_and_follow_no_link(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    archive_of(
        folder / "0.tar.gz",
        {"../../evil.jpg": b"E", "/etc/passwd.jpg": b"P", ".hidden.jpg": b"H"},
        links={"link.jpg": "/etc/passwd"},
    )
    archives = ArchivedPictures(folder, unpacked=tmp_path / "unpacked")
    assert archives.find("link.jpg") is None
    assert archives.find("..") is None
    assert archives.damaged == []
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.jpg")) == [
        "unpacked/evil.jpg",
        "unpacked/passwd.jpg",
    ]


def test_what_is_no_archive_is_named_and_passed_over(tmp_path):
    (tmp_path / "0.tar.gz").write_bytes(b"nothing of the kind")
    archive_of(tmp_path / "1.tar.gz", {"a.jpg": b"A"})
    archives = ArchivedPictures(tmp_path, unpacked=tmp_path)
    assert archives.find("a.jpg") == tmp_path / "a.jpg"
    assert len(archives.damaged) == 1
    assert archives.damaged[0].startswith(f"{tmp_path / '0.tar.gz'}: cannot be read to its end (")
