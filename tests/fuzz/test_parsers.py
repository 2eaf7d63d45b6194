"""Every parser on made-up and mutated input: what its callers handle is all that it raises."""

from __future__ import annotations

import io
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS
from toonify.cli.align import parse_color
from toonify.cli.common import hoist_globals
from toonify.editing.edits import layer_range
from toonify.errors import ToonifyError
from toonify.lut import check_name
from toonify.media.decoding import parse_pixels
from toonify.portrait.backgrounds import parse_background
from toonify.stylize.jobs import read_list
from toonify.utils.text import json_line, visible
from toonify.video import CharacterAssignment

quick = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def mutated(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A whole file with a few bytes changed, a part cut out, doubled, or put in."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        if not data:
            break
        at = draw(st.integers(0, len(data) - 1))
        length = draw(st.integers(0, min(64, len(data) - at)))
        how = draw(st.sampled_from(["flip", "cut", "double", "insert", "end", "large"]))
        if how == "flip":
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif how == "cut":
            del data[at : at + length]
        elif how == "double":
            data[at:at] = data[at : at + length]
        elif how == "insert":
            data[at:at] = draw(st.binary(max_size=16))
        elif how == "end":
            del data[at:]
        else:
            data[at : at + 4] = draw(st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"]))
    return bytes(data)


@pytest.mark.parametrize("name", TARGETS)
def test_files_of_strangers(name: str) -> None:
    target = TARGETS[name]
    seeds = target.seeds()
    for seed in seeds:
        target.run(seed)

    @quick
    @given(st.one_of(st.binary(max_size=200), mutated(seeds)))
    def check(data: bytes) -> None:
        target.run(data)

    check()


TEXTS = st.one_of(
    st.text(max_size=30),
    st.text(string.digits + "-:,.=#%efinfa ", max_size=12),
    st.sampled_from(["1e999", "-", ":", "0-", "-0", "９", "１-２", "0x10", "nan", "inf", "\ud800"]),
)


@pytest.mark.parametrize(
    "parse",
    [
        parse_pixels,
        parse_color,
        parse_background,
        check_name,
        visible,
        lambda text: layer_range(text, 18),
        lambda text: CharacterAssignment([text], ("mina", "otto")),
        lambda text: hoist_globals([text, "--seed", text, "--", text]),
        lambda text: json_line({"a": text}, "ascii"),
        lambda text: read_list(io.BytesIO(text.encode("utf-8", "surrogatepass")), "list"),
    ],
)
def test_words_of_the_command_line(parse) -> None:
    @settings(quick, max_examples=80)
    @given(TEXTS)
    def check(text: str) -> None:
        try:
            parse(text)
        except ToonifyError as error:
            assert "\n" not in str(error)

    check()


@quick
@given(st.lists(st.text(max_size=8), max_size=6))
def test_global_options_keep_the_order_of_all_else(words: list[str]) -> None:
    rest = [word for word in words if not word.startswith("-")]
    kept = hoist_globals(["--quiet", *words])
    assert [word for word in kept if word in rest][-len(rest) :] == rest or not rest


@quick
@given(st.text())
def test_shown_text_holds_no_control_characters(text: str) -> None:
    shown = visible(text)
    assert not any((ord(c) < 32 and c not in "\t\n") or 127 <= ord(c) < 160 for c in shown)
    assert visible(shown) == shown
