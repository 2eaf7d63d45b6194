"""What a photograph's way needs imports no torch until a network of torch's is run."""

import subprocess
import sys
from pathlib import Path

import pytest

from toonify.models.graph_runtimes import fastest

FACE = Path(__file__).parents[1] / "examples" / "faces" / "01.jpg"
WITHOUT_TORCH = (
    "toonify",
    "toonify.stylize.batch",
    "toonify.bundle",
    "toonify.checkpoints",
    "toonify.checkpoints.cache",
    "toonify.device",
    "toonify.faces",
    "toonify.faces.mesh",
    "toonify.faces.person",
    "toonify.stylize.jobs",
    "toonify.media.images",
    "toonify.portrait.engine",
    "toonify.reports.sheet",
)
CLUSTER = ("ray", "toonify.cluster")
HEAVY = ("torch", "torchvision", "lpips", "face_alignment", "scipy", "ssl")


def test_nothing_heavy_is_imported():
    """One after the other, in one process: the first name that is printed imports what follows."""
    code = (
        "import importlib, sys\n"
        f"for name in {WITHOUT_TORCH!r}:\n"
        "    importlib.import_module(name)\n"
        f"    if heavy := [m for m in {HEAVY!r} if m in sys.modules]:\n"
        "        print(name, heavy)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""


@pytest.mark.skipif(fastest() is None, reason="OpenCV 4 leaves networks to torch")
@pytest.mark.parametrize("engine", ["portrait", "unet", "blend"])
def test_styles_are_drawn_without_torch(engine, tmp_path):
    arguments = ["stylize", str(FACE), "-o", str(tmp_path / "drawn.png"), "--engine", engine]
    arguments += ["--max-size", "256"]
    code = (
        "import sys; from toonify.cli.main import main\n"
        f"status = main({arguments!r})\n"
        f"print(status, [m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []", done.stderr
    assert (tmp_path / "drawn.png").is_file()


@pytest.mark.parametrize("command", ["stylize", "video"])
def test_nothing_of_a_cluster_is_imported_without_one(command, tmp_path):
    (tmp_path / "no.mp4").write_bytes(b"no clip")  # noticed once everything is loaded
    arguments = [command, str(tmp_path / "no.mp4"), "-o", str(tmp_path / "out.mp4")]
    code = (
        "import sys; from toonify.cli.main import main\n"
        f"status = main({arguments!r})\n"
        f"print(status, [m for m in {CLUSTER!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    status, imported = done.stdout.splitlines()[-1].split(" ", 1)
    assert status != "0" and imported == "[]"


def test_a_missing_clip_is_noticed_before_torch_is_imported(tmp_path):
    arguments = ["video", str(tmp_path / "none.mp4"), "-o", str(tmp_path / "out.mp4")]
    code = (
        "import sys; from toonify.cli.main import main\n"
        f"status = main({arguments!r})\n"
        f"print(status, [m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "1 []"
    assert "no such file" in done.stderr and done.stderr.count("\n") == 1
