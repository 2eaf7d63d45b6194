"""What terminals would obey never reaches them."""

from __future__ import annotations

import json

import pytest

from toonify.utils.text import json_line, visible

OBEYED = ["\x1b]0;owned\x07", "\x1b[2J", "\r", "\x9b2J", "\x7f", "\u202e", "\u2028", "\u2066"]


@pytest.mark.parametrize("part", OBEYED)
def test_control_characters_are_shown_instead_of_obeyed(part: str) -> None:
    shown = visible(f"a{part}b")
    assert part not in shown and "\x1b" not in shown and "\\" in shown
    line = json_line({"name": f"a{part}b"})
    assert part not in line and json.loads(line) == {"name": f"a{part}b"}


def test_other_text_stays() -> None:
    for text in ("größer → ja", "日本語", "a\tb\nc", "👩‍🎤", "עברית"):
        assert visible(text) == text
        assert json.loads(json_line({"text": text}))["text"] == text
