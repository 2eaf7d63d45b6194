"""toonify: a photo goes in, a chosen cartoon character comes out.

The names below are the stable public API; they are imported on first use, so that
`import toonify` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toonify.checkpoints import load_encoder, load_generator
    from toonify.engine import Toonifier
    from toonify.errors import ToonifyError
    from toonify.lut import Character, CharacterTable

__version__ = "0.1.0"

_HOMES = {
    "Toonifier": "toonify.engine",
    "Character": "toonify.lut",
    "CharacterTable": "toonify.lut",
    "ToonifyError": "toonify.errors",
    "load_encoder": "toonify.checkpoints",
    "load_generator": "toonify.checkpoints",
}

__all__ = [
    "Character",
    "CharacterTable",
    "Toonifier",
    "ToonifyError",
    "load_encoder",
    "load_generator",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'toonify' has no attribute {name!r}")
