"""The default bundle's manifest and MODEL_CARD.md."""

from __future__ import annotations

from pathlib import Path

from toonify.bundle import read_manifest, write_manifest

LICENCE = "CC BY-NC-SA 4.0 (non-commercial): derived from a generator trained on FFHQ"
PRIOR = "ffhq-mobile: PyPI random-face 2021.7.21.1 (Apache-2.0 wheel, MobileStyleGAN, FFHQ)"
SOURCES = {
    "generator": f"{PRIOR}; layers from 16×16 on fine-tuned on the drawings of examples/characters",
    "encoder": f"trained from scratch on faces sampled from {PRIOR}",
    "frame_generator": f"trained on faces sampled from {PRIOR}, cut out by MediaPipe's selfie"
    " segmentation (Apache-2.0), with drawings of examples/characters (ours, MIT) put over them",
    "frame_encoder": "trained together with frame_generator",
    "inversion_generator": f"distilled from {PRIOR}",
    "inversion_encoder": f"trained from scratch on faces sampled from {PRIOR}",
    "characters": "drawings of examples/characters (ours, MIT), projected into the generator",
}

TEMPLATE = Path(__file__).with_name("MODEL_CARD.template.md")


def finish(folder: Path, *, history: str = "", figures: str = "", **numbers: int) -> None:
    """Complete the manifest of a bundle in `folder` and write its MODEL_CARD.md.

    Args:
        history: sentences on how its weights came about beside the recipe.
        figures: sentences on what was measured on photographs.
        numbers: what the template names.
    """
    files = {
        part: {"file": entry["file"], "source": SOURCES[part], "license": LICENCE}
        for part, entry in read_manifest(folder)["files"].items()
    }
    about = {
        "name": "default",
        "description": "six drawn characters at 512×512, for photographs of people",
        "license": LICENCE,
    }
    write_manifest(folder, about=about, files=files)
    listed = read_manifest(folder)["files"]
    rows = "\n".join(
        f"| {entry['file']} | {entry['source']} | `{entry['sha256']}` |"
        for entry in listed.values()
    )
    text = TEMPLATE.read_text(encoding="utf-8").format(
        rows=rows,
        licence=LICENCE,
        history=f" {history}" if history else "",
        figures=f" {figures}" if figures else "",
        **numbers,
    )
    (folder / "MODEL_CARD.md").write_text(text, encoding="utf-8")
