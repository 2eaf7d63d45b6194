"""toonify: photographs and clips in, drawings of the same people out.

The names below are the stable public API; they are imported on first use, so that
`import toonify` is quick.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toonify.bundle import Bundle
    from toonify.checkpoints import load_encoder, load_generator
    from toonify.editing.local_edits import edit_part
    from toonify.editing.photo_edits import edit
    from toonify.engine import Toonifier
    from toonify.engines.registry import load_engine, load_style_engine
    from toonify.errors import Diverged, InputError, ModelError, ToonifyError, UsageError
    from toonify.evaluation.measuring import Evaluation, evaluate
    from toonify.inversion.inverter import invert
    from toonify.lut import Character, CharacterTable
    from toonify.training.characters.projecting import project
    from toonify.training.encoders.job import train_encoder
    from toonify.training.finetune.job import finetune
    from toonify.training.pix2pix.train import train_pix2pix
    from toonify.video.clips import convert_video

__version__ = "0.1.0"

logging.getLogger(__name__).addHandler(logging.NullHandler())  # callers choose what they see

_HOMES = {
    "edit": "toonify.editing.photo_edits",
    "edit_part": "toonify.editing.local_edits",
    "invert": "toonify.inversion.inverter",
    "train_encoder": "toonify.training.encoders.job",
    "finetune": "toonify.training.finetune.job",
    "train_pix2pix": "toonify.training.pix2pix.train",
    "project": "toonify.training.characters.projecting",
    "convert_video": "toonify.video.clips",
    "Bundle": "toonify.bundle",
    "Character": "toonify.lut",
    "CharacterTable": "toonify.lut",
    "Diverged": "toonify.errors",
    "Evaluation": "toonify.evaluation.measuring",
    "InputError": "toonify.errors",
    "ModelError": "toonify.errors",
    "Toonifier": "toonify.engine",
    "ToonifyError": "toonify.errors",
    "UsageError": "toonify.errors",
    "evaluate": "toonify.evaluation.measuring",
    "load_encoder": "toonify.checkpoints",
    "load_engine": "toonify.engines.registry",
    "load_generator": "toonify.checkpoints",
    "load_style_engine": "toonify.engines.registry",
}

__all__ = [
    "Bundle",
    "Character",
    "CharacterTable",
    "Diverged",
    "Evaluation",
    "InputError",
    "ModelError",
    "Toonifier",
    "ToonifyError",
    "UsageError",
    "convert_video",
    "edit",
    "edit_part",
    "evaluate",
    "finetune",
    "invert",
    "load_encoder",
    "load_engine",
    "load_generator",
    "load_style_engine",
    "project",
    "train_encoder",
    "train_pix2pix",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'toonify' has no attribute {name!r}")
