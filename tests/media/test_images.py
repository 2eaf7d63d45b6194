"""Image files: what comes in, in every odd mode, and what is written or refused."""

from __future__ import annotations

import io
import os
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as pil
from PIL import ImageCms

from toonify.errors import InputError, UsageError
from toonify.media import encode_image, images, iter_images, read_image, write_image
from toonify.media.decoding import parse_pixels


def picture(height: int = 24, width: int = 40) -> np.ndarray:
    """Smooth colors, different in every corner, so that a turn or flip shows."""
    y, x = np.mgrid[0:height, 0:width]
    red, green = x * 255 // (width - 1), y * 255 // (height - 1)
    return np.dstack([red, green, 255 - red]).astype(np.uint8)


def saved(image: pil.Image, format: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format=format, **options)
    return out.getvalue()


UPRIGHT_TO_STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation_is_applied(orientation: int, format: str) -> None:
    upright = picture()
    stored = pil.fromarray(np.ascontiguousarray(UPRIGHT_TO_STORED[orientation](upright)))
    exif = pil.Exif()
    exif[0x0112] = orientation
    got = read_image(saved(stored, format, exif=exif.tobytes(), quality=100)).rgb
    assert got.shape == upright.shape
    assert np.abs(got.astype(int) - upright).mean() < 6


def test_damaged_exif_is_ignored() -> None:
    data = saved(pil.fromarray(picture()), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\xff")
    assert read_image(data).rgb.shape == (24, 40, 3)


def test_sixteen_bit_gray_is_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(3, 0)
    for format in ("PNG", "TIFF"):
        got = read_image(saved(pil.fromarray(ramp), format)).rgb
        np.testing.assert_allclose(got[0, :, 1].astype(int), np.arange(256), atol=1)


def test_sixteen_bit_color_is_scaled() -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + crc

    values = np.array([0, 0x4000, 0x8000, 0xFFFF], ">u2").repeat(3)
    header = struct.pack(">IIBBBBB", 4, 1, 16, 2, 0, 0, 0)
    body = zlib.compress(b"\0" + values.tobytes())
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    np.testing.assert_allclose(read_image(png).rgb[0, :, 0], [0, 64, 128, 255], atol=1)


def test_float_and_32_bit_tiff() -> None:
    ramp = np.linspace(0, 1, 64, dtype=np.float32)[None].repeat(2, 0)
    got = read_image(saved(pil.fromarray(ramp), "TIFF")).rgb[0, :, 0]
    np.testing.assert_allclose(got, ramp[0] * 255, atol=0.6)
    deep = (ramp * (2**31 - 128)).astype(np.int32)
    got = read_image(saved(pil.fromarray(deep), "TIFF")).rgb[0, :, 0]
    np.testing.assert_allclose(got, ramp[0] * 255, atol=0.6)


def test_cmyk_jpeg() -> None:
    cmyk = pil.fromarray(picture()).convert("CMYK")
    got = read_image(saved(cmyk, "JPEG", quality=98)).rgb
    assert np.abs(got.astype(int) - picture()).mean() < 6


def test_gray_and_one_bit() -> None:
    gray = pil.fromarray(picture()[..., 0])
    assert np.array_equal(read_image(saved(gray, "PNG")).rgb[..., 2], picture()[..., 0])
    bits = pil.fromarray((picture()[..., 0] > 127).astype(np.uint8) * 255).convert("1")
    got = read_image(saved(bits, "PNG"))
    assert set(np.unique(got.rgb)) == {0, 255} and got.alpha is None


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_alpha_is_kept_apart(mode: str) -> None:
    alpha = picture()[..., 1]
    image = pil.fromarray(np.dstack([picture(), alpha]))
    if mode == "LA":
        image = image.convert("LA")
    elif mode == "PA":
        image = image.quantize(200)
    got = read_image(saved(image, "PNG"))
    assert got.alpha is not None and got.rgb.shape == (24, 40, 3)
    assert np.abs(got.alpha.astype(int) - alpha).mean() < (12 if mode == "PA" else 1)


def test_palette_with_transparent_index() -> None:
    image = pil.fromarray(np.uint8([[0, 1], [1, 0]])).convert("P")
    image.putpalette([255, 0, 0, 0, 0, 255])
    got = read_image(saved(image, "PNG", transparency=1))
    assert got.rgb[0, 0].tolist() == [255, 0, 0]
    assert got.alpha is not None and got.alpha.tolist() == [[255, 0], [0, 255]]


def test_embedded_profile_is_converted() -> None:
    # A profile with the reds and greens exchanged would be exotic; Lab's white and gray suffice
    # to tell that the conversion ran: gamma 1.0 RGB makes mid gray much lighter in sRGB.
    linear = _gamma_one_profile()
    gray = np.full((8, 8, 3), 64, np.uint8)
    got = read_image(saved(pil.fromarray(gray), "PNG", icc_profile=linear))
    assert got.icc == linear
    np.testing.assert_allclose(got.rgb.mean(), 137, atol=3)


def test_srgb_profile_and_broken_profile_leave_the_pixels() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for icc in (srgb, b"not a profile"):
        data = saved(pil.fromarray(picture()), "PNG", icc_profile=icc)
        assert np.array_equal(read_image(data).rgb, picture())


def _gamma_one_profile() -> bytes:
    """sRGB's profile with its tone curves replaced by the identity, as in linear-light files."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", data[128:132])[0]
    for i in range(count):
        tag, offset, size = struct.unpack(">4sII", data[132 + 12 * i : 144 + 12 * i])
        if tag in (b"rTRC", b"gTRC", b"bTRC"):
            data[offset : offset + size] = (b"curv" + bytes(8)).ljust(size, b"\0")[:size]
        if tag == b"desc":
            data[offset + 8 : offset + size] = bytes(size - 8)
    return bytes(data)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_cut_off_files_are_refused(format: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    data = saved(pil.fromarray(noise), format)
    for share in (0.3, 0.6, 0.9):
        with pytest.raises(InputError, match=r"damaged|not an image"):
            read_image(data[: int(len(data) * share)])


def test_bad_inputs_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.png").write_text("hello")
    for path, words in (
        (tmp_path / "missing.jpg", "no such file"),
        (tmp_path, "is a folder"),
        (tmp_path / "empty.jpg", "is empty"),
        (tmp_path / "text.png", "not an image"),
        (tmp_path / "nul\0.png", "can't read"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            read_image(path)
        assert "\n" not in str(caught.value)


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(InputError, match="no permission"):
        read_image(tmp_path / "a.png")


def test_pixels_are_counted_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOONIFY_MAX_PIXELS", "900")
    for kind in ("PNG", "WEBP", "GIF", "TIFF", "BMP"):
        with pytest.raises(InputError, match=r"too large: 40x24 px.*`max_pixels`"):
            read_image(saved(pil.fromarray(picture()), kind))
    monkeypatch.setenv("TOONIFY_MAX_PIXELS", "960")
    assert read_image(saved(pil.fromarray(picture()), "PNG")).rgb.shape == (24, 40, 3)
    with pytest.raises(InputError, match="too large"):  # its decoder takes twice the memory
        read_image(saved(pil.fromarray(picture()), "WEBP"))
    monkeypatch.setenv("TOONIFY_MAX_PIXELS", "many")
    with pytest.raises(UsageError, match="no number of pixels"):
        read_image(saved(pil.fromarray(picture()), "PNG"))


def test_a_jpeg_above_the_limit_is_read_at_a_fraction_of_its_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = saved(pil.fromarray(picture(240, 400)), "JPEG")
    monkeypatch.setenv("TOONIFY_MAX_PIXELS", "0.05M")
    got = read_image(data)
    assert got.rgb.shape == (120, 200, 3) and got.reduced == 2
    monkeypatch.setenv("TOONIFY_MAX_PIXELS", "0.04M")
    with pytest.raises(InputError, match="too large"):
        read_image(data)


def test_pixels_can_be_given_in_millions() -> None:
    assert parse_pixels("60M") == parse_pixels("60000000") == parse_pixels("60 MP") == 60_000_000
    for text in ("", "0", "-3", "nan", "inf", "1e99", "M", "6 0 0"):
        with pytest.raises(UsageError):
            parse_pixels(text)


def test_memory_follows_the_pixels() -> None:
    """Nothing is held as float64 at once: 16-bit and float pictures are converted in strips."""
    side = 3000
    for values in (np.zeros((side, side), np.uint16), np.zeros((side, side), np.float32)):
        data = saved(pil.fromarray(values), "TIFF", compression="tiff_lzw")
        tracemalloc.start()
        read_image(data)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 3 * side * side + 60e6


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes have names on Unix only")
def test_pipes_and_devices_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").symlink_to("/dev/zero")
    for name in ("a.jpg", "b.jpg"):
        with pytest.raises(InputError, match="pipe or device"):
            read_image(tmp_path / name)


def test_an_endless_stream_is_refused_by_its_beginning() -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1) -> bytes:
            assert 0 < size <= 1 << 20, "read before its kind was known"
            return bytes(size)

    with pytest.raises(InputError, match="not an image"):
        read_image(Endless())  # type: ignore[arg-type]


def test_a_sparse_file_is_not_read(tmp_path: Path) -> None:
    with open(tmp_path / "a.jpg", "wb") as file:
        file.truncate(6 << 30)
    with pytest.raises(InputError, match="too large"):
        read_image(tmp_path / "a.jpg")


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    data = saved(pil.fromarray(picture()), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    assert read_image(data).rgb.shape == (24, 40, 3)
    with pytest.raises(InputError, match="too many scans"):
        read_image(data[:-2] + scan * 200 + data[-2:])


def test_what_is_no_picture_is_called_what_it_is() -> None:
    heic = struct.pack(">I", 24) + b"ftypheic\0\0\0\0mif1heic" + bytes(200)
    for data, word in (
        (heic, "HEIC|damaged"),
        (b"\xff\x0a" + bytes(40), "JPEG XL|damaged|not an image"),
        (b"8BPS" + bytes(40), "Photoshop"),
        (b"%PDF-1.7", "PDF"),
        (b"\0\0\0\x18ftypmp42" + bytes(40), "video"),
        (b"hello", "not an image"),
    ):
        with pytest.raises(InputError, match=word):
            read_image(data)


def test_what_lies_under_transparency_does_not_show() -> None:
    secret, alpha = picture(), np.full((24, 40), 255, np.uint8)
    alpha[:12], alpha[12] = 0, 3
    for kind in ("PNG", "WEBP"):
        options = {"exact": True, "lossless": True} if kind == "WEBP" else {}
        got = read_image(saved(pil.fromarray(np.dstack([secret, alpha])), kind, **options))
        assert (got.rgb[:12] == 255).all() and got.alpha is not None
        assert got.flat[:13].min() > 250 and np.array_equal(got.flat[13:], secret[13:])


def test_postscript_is_never_interpreted() -> None:
    with pytest.raises(InputError, match="not an image"):
        read_image(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n")


def test_read_from_a_stream_and_one_pixel() -> None:
    data = saved(pil.fromarray(np.uint8([[[1, 2, 3]]])), "PNG")
    assert read_image(io.BytesIO(data)).rgb.tolist() == [[[1, 2, 3]]]


@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg", ".JPEG"])
def test_written_files_come_back(tmp_path: Path, suffix: str) -> None:
    target = tmp_path / "new folder" / f"a{suffix}"
    write_image(target, picture(), quality=95)
    got = read_image(target)
    assert got.path == target and got.alpha is None
    assert np.abs(got.rgb.astype(int) - picture()).mean() < (1 if suffix == ".png" else 6)
    assert [p.name for p in target.parent.iterdir()] == [target.name]


def test_alpha_is_written(tmp_path: Path) -> None:
    alpha = picture()[..., 1]
    for suffix in (".png", ".webp"):
        write_image(tmp_path / f"a{suffix}", picture(), alpha=alpha)
        assert np.array_equal(read_image(tmp_path / f"a{suffix}").alpha, alpha)
    clear = np.zeros((24, 40), np.uint8)
    write_image(tmp_path / "a.jpg", picture(), alpha=clear)
    assert read_image(tmp_path / "a.jpg").rgb.min() > 250


def test_quality_changes_the_size() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    assert len(encode_image(noise, "jpg", quality=30)) < len(encode_image(noise, "jpg")) / 2
    assert encode_image(noise, "png").startswith(b"\x89PNG")


def test_unknown_format_is_wrong_usage(tmp_path: Path) -> None:
    for name in ("a.bmp", "a"):
        with pytest.raises(UsageError, match="Use one of"):
            write_image(tmp_path / name, picture())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    target = tmp_path / "a.png"
    target.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(images.os, "replace", fail)
    with pytest.raises((InputError, KeyboardInterrupt)) as caught:
        write_image(target, picture())
    if isinstance(caught.value, InputError):
        assert "no space left" in str(caught.value) and "Free some space" in str(caught.value)
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_unwritable_targets(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dir.png").mkdir()
    for target in (tmp_path / "file" / "a.png", tmp_path / "dir.png"):
        with pytest.raises(InputError, match="can't write") as caught:
            write_image(target, picture())
        assert "\n" not in str(caught.value)


def test_links_and_permissions_are_kept(tmp_path: Path) -> None:
    real = tmp_path / "real.png"
    write_image(real, picture())
    mask = os.umask(0)
    os.umask(mask)
    assert real.stat().st_mode & 0o777 == 0o666 & ~mask
    link = tmp_path / "link.png"
    link.symlink_to(real)
    write_image(link, picture(10, 10))
    assert link.is_symlink() and read_image(real).rgb.shape == (10, 10, 3)


def test_iter_images(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", ".hidden.png", "note.txt", "sub/c.webp", ".git/d.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert [p.name for p in iter_images(tmp_path)] == ["a.png", "b.JPG"]
    assert [p.name for p in iter_images(tmp_path, recursive=True)] == ["a.png", "b.JPG", "c.webp"]
    with pytest.raises(InputError, match="can't read the folder"):
        list(iter_images(tmp_path / "missing"))
