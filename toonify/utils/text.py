"""Text for streams that may not take every letter, and names that are no text at all."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

# What a terminal obeys instead of showing: C0 but tab and line feed, DEL, C1; marks that turn the
# direction of writing; separators that begin a line.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """Text of files, tables and metadata for a terminal: control characters as \\x1b, \\u202e."""
    return _CONTROL.sub(lambda match: _escaped(ord(match[0])), text)


def _escaped(code: int) -> str:
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def json_line(record: Mapping[str, Any], encoding: str = "utf-8") -> str:
    """A record as one line of JSON, without the line's end.

    Letters that the encoding lacks, and bytes of file names that are no UTF-8, are escaped as JSON
    escapes them, so that what is read back is the same name; so are control characters.
    """
    text = json.dumps(record, ensure_ascii=False)
    if _CONTROL.search(text):
        return json.dumps(record)
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return json.dumps(record)
    return text


def printable(text: str) -> str:
    """Text that is valid Unicode: bytes of file names that are none are escaped."""
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8")
