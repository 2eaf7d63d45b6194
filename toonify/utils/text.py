"""Text for streams that may not take every letter, and names that are no text at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def json_line(record: Mapping[str, Any], encoding: str = "utf-8") -> str:
    """A record as one line of JSON, without the line's end.

    Letters that the encoding lacks, and bytes of file names that are no UTF-8, are escaped as JSON
    escapes them, so that what is read back is the same name.
    """
    text = json.dumps(record, ensure_ascii=False)
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return json.dumps(record)
    return text


def printable(text: str) -> str:
    """Text that is valid Unicode: bytes of file names that are none are escaped."""
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8")
