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
    "inversion_generator": f"{PRIOR}; layers up to 32×32 distilled into StyleGAN2's layout",
    "inversion_encoder": f"trained from scratch on faces sampled from {PRIOR}",
    "characters": "drawings of examples/characters (ours, MIT), projected into the generator",
}

FRAMES = """\
Frames for `video --engine styleganex` and `translate --task toonify`: {people} of the sampled
   faces cut out by MediaPipe's selfie segmentation, drawn heads put over them in their poses,
   before any background. The generator has the bundle's own layers from 64×64 on over StyleGAN2's
   up to 32×32 (7.6 M parameters in all); its encoder (5 M) has no heads for w+, which the
   characters' codes take the place of. {deep} steps of 8 at 160 px, {frames} of 5 at 224 px, drawn
   at twice that, with a matte, a patch discriminator, and flicker suppression at the end. Only the
   skip connections at an eighth of the frame's resolution are made; the matte decides where the
   drawing covers the frame.
"""
INVERSION = """\
Faces for `invert` and `edit`, 256×256 (12 M): the prior's mapping network and its layers from
   64×64 on, over StyleGAN2's layers up to 32×32, which were started from the prior's weights by
   least squares and learnt its features: {distill} steps, half of them of 64 codes at up to 16×16,
   half of 32. Its encoder of whole frames (1.4 M) gives the first feature alone, w+ is the encoder
   of faces': {inversion} steps of 8 faces anywhere, at first of the constant, moved as they are.
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
        "defaults": {"engine": "cdsm"},  # sharper than whole frames, whose training was short
    }
    write_manifest(folder, about=about, files=files)
    listed = read_manifest(folder)["files"]
    rows = "\n".join(
        f"| {entry['file']} | {entry['source']} | `{entry['sha256']}` |"
        for entry in listed.values()
    )
    told = [text.format(**numbers) for part, text in STEPS.items() if part in listed]
    text = TEMPLATE.read_text(encoding="utf-8").format(
        rows=rows,
        beside=" Beside it there are StyleGANEX models for whole frames." if told else "",
        limits="".join(text for part, text in LIMITS.items() if part in listed),
        more="".join(f"{number}. {text}" for number, text in enumerate(told, FIRST)),
        licence=LICENCE,
        history=f" {history}" if history else "",
        figures=f" {figures}" if figures else "",
        **numbers,
    )
    (folder / "MODEL_CARD.md").write_text(text, encoding="utf-8")
