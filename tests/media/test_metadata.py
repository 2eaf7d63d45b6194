"""What a photo says about itself travels on; where it was taken doesn't."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image as pil
from PIL import ImageCms

from toonify.media import encode_image, read_image
from toonify.media.metadata import Metadata

XMP = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    b'xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
    b'xmlns:dc="http://purl.org/dc/elements/1.1/" exif:GPSLatitude="48,8.0N" '
    b'tiff:Orientation="6"><exif:GPSLongitude>11,34.0E</exif:GPSLongitude>'
    b"<dc:creator>Ada</dc:creator></rdf:Description></rdf:RDF></x:xmpmeta>"
    b'<?xpacket end="w"?>'
)
PIXELS = np.full((16, 24, 3), (190, 150, 130), np.uint8)


def photo(kind: str = "JPEG", **options: object) -> bytes:
    exif = pil.Exif()
    exif[0x0112], exif[0x010F], exif[0x0132] = 6, "Acme", "2020:05:06 07:08:09"
    exif.get_ifd(0x8769).update({0x9003: "2020:05:06 07:08:09", 0x927C: b"secret maker's note"})
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 0.0), 3: "E", 4: (11.0, 34.0, 0.0)})
    out = io.BytesIO()
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pil.fromarray(PIXELS).save(out, kind, exif=exif, dpi=(300, 300), icc_profile=icc, **options)
    return out.getvalue()


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_date_camera_profile_and_resolution_are_kept(suffix: str) -> None:
    image = read_image(photo(xmp=XMP))
    data = encode_image(image.rgb, suffix, metadata=image.metadata)
    with pil.open(io.BytesIO(data)) as kept:
        exif = kept.getexif()
        assert exif.get_ifd(0x8769)[0x9003] == "2020:05:06 07:08:09" and exif[0x010F] == "Acme"
        assert exif.get(0x0112, 1) == 1 and kept.size == (16, 24)
        assert kept.info["icc_profile"]
        xmp = kept.info.get("xmp") or kept.info["XML:com.adobe.xmp"].encode()
        assert b"Ada" in xmp and b"GPS" not in xmp and b"Orientation" not in xmp
        if suffix != "webp":
            assert kept.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    again = read_image(data)
    assert again.rgb.shape == image.rgb.shape


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_places_and_private_notes_are_left_out(suffix: str) -> None:
    image = read_image(photo(xmp=XMP))
    data = encode_image(image.rgb, suffix, metadata=image.metadata)
    with pil.open(io.BytesIO(data)) as kept:
        place = kept.getexif().get_ifd(0x8825)
        assert set(place) <= {0}, "nothing but the version of the block"
        assert 0x927C not in kept.getexif().get_ifd(0x8769)
    assert b"secret" not in data and b"GPSL" not in data


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_stripped_pictures_say_nothing(suffix: str) -> None:
    image = read_image(photo(xmp=XMP))
    data = encode_image(image.rgb, suffix, metadata=image.metadata.stripped())
    with pil.open(io.BytesIO(data)) as kept:
        assert not dict(kept.getexif()) and "xmp" not in kept.info
    assert b"Acme" not in data and b"2020" not in data


def test_another_profile_becomes_srgb() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    options = Metadata(icc=profile).save_options("PNG")
    found = ImageCms.ImageCmsProfile(io.BytesIO(options["icc_profile"]))
    assert "srgb" in ImageCms.getProfileDescription(found).lower()


@pytest.mark.parametrize(
    "xmp",
    [
        b"<!DOCTYPE x [<!ENTITY a 'aaaa'>]><x>&a;</x>",
        b"<x>" * 5000,
        b"\xff\xfe\x00",
        b"<x></y>",
        b"",
        b"<x>" * 80 + b"</x>" * 80,
    ],
)
def test_xmp_that_is_no_safe_xml_is_left_out(xmp: bytes) -> None:
    image = read_image(photo(xmp=xmp) if xmp else photo())
    assert image.metadata.xmp is None and image.metadata.exif


@pytest.mark.parametrize("value", [b"\x00" * 9, "\ud800", 2**40, (1, 0), -1, "x" * 70_000])
def test_odd_entries_never_stop_a_picture(value: object) -> None:
    exif = pil.Exif()
    exif[0x010F] = "Acme"
    try:
        exif[0x9C9B] = value
        data = io.BytesIO()
        pil.fromarray(PIXELS).save(data, "PNG", exif=exif)
    except Exception:
        pytest.skip("not even Pillow writes it")
    image = read_image(data.getvalue())
    for suffix in ("jpg", "png", "webp"):
        assert encode_image(image.rgb, suffix, metadata=image.metadata)
