"""The default bundle's manifest and MODEL_CARD.md."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from toonify.bundle import bundle_folder, part_path, read_manifest, write_manifest
from toonify.checkpoints import load_encoder, load_generator, save_encoder, save_generator
from toonify.portrait.styles import STYLES

LICENSE = "CC BY-NC-SA 4.0 (non-commercial): derived from a generator trained on FFHQ"
PRIOR = "ffhq-mobile: PyPI random-face 2021.7.21.1 (Apache-2.0 wheel, MobileStyleGAN, FFHQ)"
APACHE = "Apache-2.0"
MEDIAPIPE = ("face_mesh", "iris", "person_matte")
SOURCES = {
    "generator": f"{PRIOR}; layers from 16×16 on fine-tuned on the drawings of examples/characters",
    "encoder": f"trained from scratch on faces sampled from {PRIOR}",
    "frame_generator": f"trained on faces sampled from {PRIOR}, cut out by MediaPipe's selfie"
    " segmentation (Apache-2.0), with drawings of examples/characters (ours, MIT) put over them",
    "frame_encoder": "trained together with frame_generator",
    "inversion_generator": f"{PRIOR}; layers up to 32×32 distilled into StyleGAN2's layout",
    "inversion_encoder": f"trained from scratch on faces sampled from {PRIOR}",
    "directions": f"regressions of the W of {PRIOR} on what face mesh, age and clusters tell",
    "parsing": f"trained from scratch by recipes/parsing on faces sampled from {PRIOR}",
    "face_mesh": "MediaPipe 0.10.21 (PyPI wheel, Google), face_landmark.tflite unchanged",
    "iris": "MediaPipe 0.10.21 (PyPI wheel, Google), iris_landmark.tflite unchanged",
    "person_matte": "MediaPipe 0.10.21 (PyPI wheel, Google), selfie_segmentation.tflite unchanged",
    "attributes": "offsets in the generator's StyleSpace, learnt on drawings of examples/characters"
    f" (ours, MIT) made to order for faces sampled from {PRIOR}",
    "drawing_encoder": "trained from scratch on faces sampled from inversion_generator and drawings"
    " made over them by program (toonify.training.drawings, ours, MIT)",
    "restoration": f"trained from scratch on faces sampled from {PRIOR}, and such put together"
    " anew, for inversion_generator and encoder",
    "characters": "drawings of examples/characters (ours, MIT), projected into the generator",
}

FRAMES = """\
Frames for `--engine styleganex`: {people} of the sampled
   faces cut out by MediaPipe's selfie segmentation, drawn heads put over them in their poses,
   before any background. The generator has the bundle's own layers from 64×64 on over StyleGAN2's
   up to 32×32 (7.6 M parameters in all); its encoder (5 M) has no heads for w+, which the
   characters' latents take the place of. {deep} steps of 8 at 160 px, {frames} of 5 at 224 px,
   drawn at twice that, with a matte, a patch discriminator, and flicker suppression at the end.
   Only the skip connections at an eighth of the frame's resolution are made; the matte decides
   where the drawing covers the frame.
"""
INVERSION = """\
Faces for `invert` and `edit`, 256×256 (12 M): the prior's mapping network and its layers from
   64×64 on, over StyleGAN2's layers up to 32×32, which were started from the prior's weights by
   least squares and learnt its features: {distill} steps, half of them of 64 latents at up to
   16×16, half of 32. Its encoder of whole frames (1.4 M) gives the first feature alone, w+ is the
   encoder of faces': {inversion} steps of 8 faces anywhere, at first of the constant, moved as they
   are.
"""
STEPS = {"frame_generator": FRAMES, "inversion_generator": INVERSION}
LIMITS = {
    "frame_generator": """\
- Whole frames: closed eyes and small mouths hardly follow, bows and earrings are blobs or missing,
  and where the person's hair was taken away a pale veil is left.
""",
    "inversion_generator": """\
- Photographs are inverted at 256 pixels a face. The encoder has seen sampled faces alone: beside
  the face it guesses, faces more often than not. Refining (`invert --steps`), a minute or more,
  brings what is there.
""",
}
FIRST = 8  # number of the recipe's step that these come from

SMALL = (*MEDIAPIPE, "parsing", "directions")
TEMPLATE = Path(__file__).with_name("MODEL_CARD.template.md")


def add_small_networks(folder: Path, *, parsing: Path | None = None) -> None:
    """Put what portraits are drawn from, and directions, into a bundle in `folder`.

    Args:
        parsing: the ONNX file that `recipes/parsing/train.py` writes; the shipped one without.
    """
    shipped = bundle_folder("default")
    listed = read_manifest(shipped)
    manifest = read_manifest(folder)
    files = {part: dict(entry) for part, entry in manifest["files"].items()}
    for part in SMALL:
        source = part_path(shipped, listed, part)
        target = folder / source.name
        shutil.copyfile(parsing if part == "parsing" and parsing else source, target)
        files[part] = {"file": target.name}
    write_manifest(folder, about={"name": "default"}, files=files)


def store_small(folder: Path) -> None:
    """Store what is large and only read from, in 8 bits: encoder and inversion generator."""
    manifest = read_manifest(folder)
    for part in ("encoder", "inversion_generator"):
        if part not in manifest["files"]:
            continue
        path = part_path(folder, manifest, part)
        if part == "encoder":
            save_encoder(load_encoder(path), path, dtype=torch.int8)
        else:
            save_generator(load_generator(path), path, dtype=torch.int8)


def finish(folder: Path, *, history: str = "", figures: str = "", **numbers: int) -> None:
    """Complete the manifest of a bundle in `folder` and write its MODEL_CARD.md.

    Args:
        history: sentences on how its weights came about beside the recipe.
        figures: sentences on what was measured on photographs.
        numbers: what the template names.
    """
    files = {
        part: {
            "file": entry["file"],
            "source": SOURCES[part],
            "license": APACHE if part in MEDIAPIPE else LICENSE,
        }
        for part, entry in read_manifest(folder)["files"].items()
    }
    about = {
        "name": "default",
        "description": "four styles that keep the person, and six drawn characters at 512×512",
        "license": LICENSE,
        "styles": list(STYLES),
        "defaults": {
            # The characters' crops are sharper than their whole frames, whose training was short.
            "engine": "cdsm",
            "style": next(iter(STYLES)),
            "photos": "blend",  # where a network draws styles
            "clips": "unet",
            "paste_level": 12,
        },
    }
    write_manifest(folder, about=about, files=files)
    listed = read_manifest(folder)["files"]
    rows = "\n".join(
        f"| {entry['file']} | {entry['source']} | {entry['license'].split(':')[0]}"
        f" | `{entry['sha256']}` |"
        for entry in listed.values()
    )
    steps = [text.format(**numbers) for part, text in STEPS.items() if part in listed]
    text = TEMPLATE.read_text(encoding="utf-8").format(
        rows=rows,
        beside=" Beside it there are StyleGANEX models for whole frames." if steps else "",
        limits="".join(text for part, text in LIMITS.items() if part in listed),
        more="".join(f"{number}. {text}" for number, text in enumerate(steps, FIRST)),
        license=LICENSE,
        history=f" {history}" if history else "",
        figures=f" {figures}" if figures else "",
        **numbers,
    )
    (folder / "MODEL_CARD.md").write_text(text, encoding="utf-8")
