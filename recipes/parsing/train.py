"""Train the face parser from nothing but the package registry: `python recipes/parsing/train.py`.

Every step leaves its result in the run folder and is skipped when that is there, so the command can
be stopped at any time and started again. On one core it takes some hours; `--quick` makes a rough
parser in one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from toonify.checkpoints import load_generator
from toonify.checkpoints.download import pull
from toonify.faces.mesh import FaceMesh
from toonify.faces.parsing import FaceParser
from toonify.faces.person import PersonMatte
from toonify.models.generators.mobile import MobileGenerator
from toonify.training.core.loop import run_trainer
from toonify.training.core.runs import RunFolder
from toonify.training.parsing.activations import Clusters
from toonify.training.parsing.attributes import SeenFaces
from toonify.training.parsing.dataset import Labeler, add_frames, write_dataset
from toonify.training.parsing.export import export_onnx
from toonify.training.parsing.faces import LabeledFace
from toonify.training.parsing.fit import ParsingConfig, ParsingTrainer
from toonify.training.parsing.pretrained import load_exported

HERE = Path(__file__).resolve().parent
PSI = (0.6, 1.0)  # truncation of the sampled faces
FULL = {"faces": 4000, "first": 2000, "steps": 12000}
QUICK = {"faces": 800, "first": 500, "steps": 1500}
DRAWN = 0.3  # share of pictures that are drawn


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def label_faces(run: Path, count: int) -> Path:
    """One .npz a face: those that were looked at, and others."""
    folder = run / "faces"
    folder.mkdir(parents=True, exist_ok=True)
    if len(list(folder.glob("*.npz"))) >= count:
        return folder
    generator = load_generator(pull("ffhq-mobile"), MobileGenerator)
    seen = SeenFaces.load(HERE / "seen_w.npy", HERE / "seen.json")
    log(f"fitting on {len(seen.w)} faces that were looked at")
    labeler = Labeler(
        generator,
        Clusters.load(HERE / "clusters.npz"),
        seen,
        mesh=FaceMesh(pull("face-mesh")),
        matte=PersonMatte(pull("person-matte")),
    )
    for number in range(count):
        path = folder / f"{number:05d}.npz"
        if path.exists():
            continue
        known = number if number < len(seen.w) else None
        w = seen.w[number] if known is not None else _draw(generator, number)
        face = labeler.label(labeler.sample(w), known)
        temporary = path.with_suffix(".tmp.npz")
        np.savez_compressed(temporary, **vars(face))
        temporary.replace(path)
        if number % 100 == 0:
            log(f"  {number} faces of {count}")
    return folder


def read_faces(folder: Path, parser: FaceParser | None = None) -> Iterator[LabeledFace]:
    """Labeled faces, with the frames that a parser sees."""
    for path in sorted(folder.glob("?????.npz")):
        with np.load(path) as arrays:
            face = LabeledFace(**{name: arrays[name] for name in arrays.files})
        yield face if parser is None else add_frames(face, parser)


def fit(run: Path, name: str, config: ParsingConfig, start: Path | None = None) -> Path:
    """Train on `run`/NAME.set, from a snapshot or an ONNX file; the ONNX file."""
    exported = run / f"{name}.onnx"
    if exported.exists():
        return exported
    trainer = ParsingTrainer(run / f"{name}.set", config)
    folder = RunFolder(run / f"{name}.run")
    resume = folder.snapshot.is_file()
    if start is not None and not resume:
        if start.suffix == ".onnx":
            load_exported(network := trainer.averaged(), start, trainer.pictures())
            trainer.start_from(network.state_dict())
        else:
            trainer.start_from(torch.load(start, weights_only=True)["ema"])

    def show(row: dict[str, float]) -> None:
        if row["step"] % 50 == 0:
            log("  " + "  ".join(f"{k} {v:.4g}" for k, v in row.items()))

    run_trainer(trainer, folder, steps=config.steps, snapshot=250, resume=resume, progress=show)
    export_onnx(trainer.averaged(), exported)
    return exported


def _draw(generator: MobileGenerator, number: int) -> np.ndarray:
    rng = np.random.default_rng([7, number])
    z = torch.from_numpy(rng.standard_normal((1, 512), dtype=np.float32))
    with torch.no_grad():
        return generator.mapping(z, truncation_psi=rng.uniform(*PSI))[0].numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/parsing"))
    parser.add_argument("--quick", action="store_true", help="a rough parser in an hour")
    parser.add_argument("--start", type=Path, help="go on from an ONNX file, such as the bundle's")
    options = parser.parse_args()
    run, sizes = options.output, QUICK if options.quick else FULL
    run.mkdir(parents=True, exist_ok=True)
    faces = label_faces(run, sizes["faces"])
    first, start = options.start, options.start
    if first is None:
        # glasses are drawn onto bare faces first; what learns from these then labels real ones
        if not (run / "first.set/weights.json").exists():
            write_dataset(run / "first.set", read_faces(faces))
        config = ParsingConfig(steps=sizes["first"], sizes=((128, 0.75), (192, 0.15), (256, 0.1)))
        first, start = fit(run, "first", config), run / "first.run/snapshot.pt"
    if not (run / "parsing.set/weights.json").exists():
        write_dataset(run / "parsing.set", read_faces(faces, FaceParser(first)))
    config = replace(ParsingConfig(), steps=sizes["steps"], lr=2e-3, drawn=DRAWN, seed=1)
    found = fit(run, "parsing", config, start)
    log(f"{found}: toonify.faces.parsing.FaceParser(Path({str(found)!r}))")


if __name__ == "__main__":
    main()
