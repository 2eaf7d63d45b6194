"""What a photograph's way needs imports no torch until a network of torch's is run."""

import subprocess
import sys

import pytest

WITHOUT_TORCH = (
    "toonify",
    "toonify.batch",
    "toonify.bundle",
    "toonify.checkpoints",
    "toonify.checkpoints.cache",
    "toonify.device",
    "toonify.faces",
    "toonify.faces.mesh",
    "toonify.faces.person",
    "toonify.jobs",
    "toonify.media.images",
    "toonify.sheet",
)
HEAVY = ("torch", "torchvision", "lpips", "face_alignment", "scipy", "ssl")


@pytest.mark.parametrize("name", WITHOUT_TORCH)
def test_imports_nothing_heavy(name):
    code = f"import sys, {name}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
