"""The default bundle's manifest and MODEL_CARD.md."""

from __future__ import annotations

from pathlib import Path

from toonify.bundle import read_manifest, write_manifest

LICENCE = "CC BY-NC-SA 4.0 (non-commercial): derived from a generator trained on FFHQ"
PRIOR = "ffhq-mobile: PyPI random-face 2021.7.21.1 (Apache-2.0 wheel, MobileStyleGAN, FFHQ)"
SOURCES = {
    "generator": f"{PRIOR}; layers from 32×32 on fine-tuned on the drawings of examples/characters",
    "encoder": f"trained from scratch on faces sampled from {PRIOR}",
    "characters": "drawings of examples/characters (ours, MIT), projected into the generator",
}

CARD = """# Model card: the default bundle

What `toonify stylize` uses when no other bundle is named: six drawn characters (mina, jun, zuri,
bram, nana, kit), one layer-swapped generator for all of them, and the encoder that reads a face's
pose and expression off a photograph.

| file | what | SHA-256 |
|---|---|---|
{rows}

## Data

- **Faces**: none were collected. Every face in training was sampled from the compact FFHQ generator
  of PyPI's random-face 2021.7.21.1 (a MobileStyleGAN distilled from StyleGAN2-FFHQ).
- **Drawings**: made by the program in `examples/characters`, which is ours (MIT). A studio has fewer
  than 100 drawings a character; a program has as many as it likes, so here each character was drawn
  {drawn} times at 256×256 and {fine_drawn} times at 512×512, each time in the pose, gaze and
  expression measured on one sampled face (MediaPipe's face and iris landmarks, Apache-2.0), with
  that face's code as its pair.
- **Photographs**: none in training.

## Recipe

`make train-default` (`examples/default_bundle/train.py`) repeats it from the package registry alone.

1. Heads for 256×256 and 512×512 on the prior: least squares, then gradient steps.
2. Encoder ({encoder_steps} steps of 32 faces): smooth L1 on w+ and on the prior's 16×16 activations,
   with crops off by a few per cent, exposure, colour, noise, blur and occlusion as augmentation.
3. Cartoon copy of the prior, layers below 32×32 frozen: rows 0–5 of w+ from the face (as sampled and
   as the encoder reads it), the rest from the character's code; L1, edge and LPIPS losses,
   {coarse_steps} steps of 4 at 256×256, then {fine_steps} at 512×512.
4. Layers below 32×32 swapped in from the prior (they were frozen, so this changes nothing and says so).
5. {k} drawings a character projected into the result, starting from the encoder's code and the
   character's training code, averaged: the look-up table.

## Limits

- The person's pose, gaze and expression are kept; their own hair, clothes, glasses and likeness are
  not: the character is drawn as itself.
- The background is the character's own. With `--paste` a feathered part of it comes along.
- Heads turned more than about 45°, hands before the face, and very small faces (below some 40
  pixels) are drawn as a guess. The FFHQ generator under-represents children, older people and dark
  skin, and the encoder inherits that.
- Trained on two CPU cores in about an hour and a half; fine lines are softer than in the drawings.

## Licence

{licence}. The FFHQ data set is for non-commercial use, so these weights, and what they draw, are too.
The drawings and all code are MIT.
"""


def finish(folder: Path, **numbers: int) -> None:
    """Complete the manifest of a bundle in `folder` and write its MODEL_CARD.md."""
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
    text = CARD.format(rows=rows, licence=LICENCE, **numbers)
    (folder / "MODEL_CARD.md").write_text(text, encoding="utf-8")
