import re
import sys
import zlib
from base64 import a85decode

import numpy as np
import pytest
from portrait.test_svg import drawing

from toonify.errors import ModelError
from toonify.portrait.pdf import to_pdf


def content(pdf: bytes) -> str:
    """Operators of the page."""
    streams = re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL)
    texts = [zlib.decompress(a85decode(b"<~" + data.strip(), adobe=True)) for data in streams]
    return b"\n".join(text for text in texts if b" cm" in text).decode("latin-1")


def test_shapes_are_paths_on_a_page_of_the_shown_size() -> None:
    pytest.importorskip("reportlab")
    pdf = to_pdf(drawing(), size=(160, 120))
    assert pdf.startswith(b"%PDF-") and pdf.count(b"/Type /Page\n") == 1
    assert re.search(rb"/MediaBox \[ 0 0 120 90 \]", pdf)
    text = content(pdf)
    assert text.count("f*") == 5  # the ground and four shapes; the soft one is an image
    assert text.count("W*") == 2
    assert text.count(" Do") == 1 and pdf.count(b"/SMask") == 1


def test_people_alone_are_cut_out() -> None:
    pytest.importorskip("reportlab")
    text = content(to_pdf(drawing(), background="transparent"))
    assert text.count("f*") == 2 and text.count("W*") == 3
    kept = to_pdf(drawing(), background="keep", photo=np.zeros((60, 80, 3), np.uint8))
    assert content(kept).count(" Do") == 2
    with pytest.raises(ValueError, match="no background"):
        to_pdf(drawing(), background="sky")


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "reportlab.pdfgen.canvas", None)
    with pytest.raises(ModelError, match=r"toonify-toolkit\[pdf\]"):
        to_pdf(drawing())
