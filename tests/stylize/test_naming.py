from pathlib import Path

import pytest

from toonify.errors import UsageError
from toonify.stylize.naming import NameTemplate


def test_names_by_a_pattern():
    template = NameTemplate("{character}/{stem}-{face:02}-L{level}{ext}")
    path = template.path(Path("out/deep/me.jpg"), character="mina", face=3, level=6)
    assert path == Path("out/deep/mina/me-03-L6.jpg")
    odd = template.path(Path("out/{stem} {0}.png"), character="mina", face=1, level=6)
    assert odd == Path("out/mina/{stem} {0}-01-L6.png")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{mood}{ext}", "has no {mood}"),
        ("{stem.__class__}{ext}", "has no"),
        ("{stem!r}{ext}", "has no"),
        ("{0}{ext}", "has no {0}"),
        ("{stem:{level}}{ext}", "has no"),
        ("{stem", "no pattern"),
        ("{stem:d}{ext}", "no pattern"),
        ("../{stem}{ext}", "out of the output folder"),
        ("{character}/../../{stem}{ext}", "out of the output folder"),
        ("/tmp/{stem}{ext}", "out of the output folder"),
        ("{stem}", "no suffix"),
        ("", "out of the output folder"),
    ],
)
def test_patterns_that_are_refused(text, message):
    with pytest.raises(UsageError) as caught:
        NameTemplate(text)
    assert message in str(caught.value)


def test_several_drawings_need_several_names():
    NameTemplate("{stem}{ext}").check(characters=1, several_faces=False)
    with pytest.raises(UsageError, match="character"):
        NameTemplate("{stem}{ext}").check(characters=2, several_faces=False)
    with pytest.raises(UsageError, match="face"):
        NameTemplate("{stem}-{character}{ext}").check(characters=2, several_faces=True)
