import numpy as np
import pytest
from PIL import Image

from toonify.errors import InputError
from toonify.reports.sheet import HEADER, SheetWriter


def test_rows_end_up_where_they_belong(tmp_path):
    path = tmp_path / "deep/sheet.png"
    colors = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    with SheetWriter(path, ("photo", "mina", "otto"), tile=20, gap=2) as sheet:
        for _ in range(3):
            sheet.add(
                [
                    np.full((size, size, 3), c, np.uint8)
                    for size, c in zip((20, 40, 7), colors, strict=True)
                ]
            )
    image = np.asarray(Image.open(path))
    assert image.shape == (HEADER + 3 * 22, 3 * 22 + 2, 3)
    for row in range(3):
        for column, value in enumerate(colors):
            cell = image[HEADER + row * 22 :, 2 + column * 22 :][:20, :20]
            assert (cell == value).all()
    assert image[:HEADER].min() < 128, "the headings are drawn"


def test_a_failure_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), SheetWriter(tmp_path / "s.png", ("photo",)) as sheet:
        sheet.add([np.zeros((8, 8, 3), np.uint8)])
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_no_rows_no_file(tmp_path):
    with SheetWriter(tmp_path / "s.png", ("photo",)):
        pass
    assert list(tmp_path.iterdir()) == []


def test_unwritable(tmp_path):
    (tmp_path / "x").touch()
    with pytest.raises(InputError, match="can't write"):
        SheetWriter(tmp_path / "x/s.png", ("photo",))
