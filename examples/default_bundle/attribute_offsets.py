"""Levels above 6 of the default bundle: characters that let the person through.

The drawing generator stays as it is. A small network (`toonify.models.attribute_offsets`) learns
the offsets in its StyleSpace that make a character drawn with a person's attributes out of the
character: skin and hair color, glasses, beard, hairdo. Its targets are drawn by program
(`examples.characters`) in the pose that the photograph's latents stand for; the attributes are
drawn by lot, so that all of them go with everybody.

    python -m examples.default_bundle.attribute_offsets --bundle default --run runs/attributes

An hour of one core with bfloat16 for 1,600 steps of 2; it resumes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from examples.characters.draw import NAMES, Likeness, draw
from examples.characters.draw.cast import CAST, Character, plain
from examples.characters.draw.likeness import HAIRDO_OF, to_lab
from examples.default_bundle.drawn_pairs import (
    ANCHORS,
    Measures,
    measure_faces,
    pose_of,
    read_poses,
)
from toonify.bundle import bundle_folder
from toonify.cdsm import DEFAULT_LEVEL, cross_domain_styles
from toonify.checkpoints import load_encoder, load_generator
from toonify.checkpoints.download import pull
from toonify.checkpoints.loading import save_network
from toonify.faces.attributes import FaceAttributes
from toonify.faces.mesh import FaceMesh
from toonify.lut import CharacterTable
from toonify.metrics.lpips import PerceptualLoss
from toonify.models.attribute_offsets import (
    BEARD,
    COLORS,
    FIRST,
    GLASSES,
    HAIR_SHAPE,
    AttributeOffsets,
    OwnAttributes,
)
from toonify.models.attribute_vector import HAIRDOS
from toonify.models.base import Generator
from toonify.models.encoders.compact import CompactEncoder
from toonify.models.generators.mobile import MobileGenerator
from toonify.training.core.loop import run_trainer
from toonify.training.core.runs import RunFolder
from toonify.training.core.schedule import warmup_cosine
from toonify.training.data.latent_samples import write_samples
from toonify.training.data.photo_augment import augment_photos
from toonify.training.distillation.resolution_cut import cut
from toonify.training.encoders.pose_reader import PoseReader, fit_pose_reader

LEVELS = (6, FIRST, COLORS, GLASSES, BEARD, HAIR_SHAPE)
SHARES = (0.04, 0.04, 0.17, 0.2, 0.2, 0.35)
FROM_ROW = 5  # of w+: layers that get offsets
FACES, STEPS, BATCH = 700, 1600, 2
HELD_OUT = 6  # faces for previews
# Adam's peak rate of the linear part, and the shares that the shared layer's two have of it
LR, INNER, OUTER = 2e-3, 0.05, 0.05
# CIELAB of hair: black, three browns, two blonds, ginger, gray, white, dark red
HAIR = (
    (12, 2, 2), (20, 5, 6), (30, 9, 12), (42, 10, 20), (58, 8, 28),
    (74, 4, 30), (45, 28, 36), (62, 1, 2), (86, 0, 3), (35, 25, 15),
)  # fmt: skip

Lot = np.random.Generator


def own_attributes(name: str) -> OwnAttributes:
    """What a character of the cast has of its own."""
    own: Character = CAST[name]
    return OwnAttributes(
        skin=to_lab(own.style.skin),
        hair=to_lab(own.style.hair),
        glasses=own.extras is not plain,
        beard=own.under is not plain,
        moustache=own.over is not plain,
        hairdo=HAIRDO_OF.get(name),
    )


def by_lot(random: Lot) -> Likeness:
    """Somebody: skin from the darkest to the lightest, any hair, glasses, beard and hairdo."""
    lightness = random.uniform(20, 88)
    strength = 0.5 + 0.5 * (1 - abs(lightness - 55) / 60)
    a, b = random.normal(13, 4) * strength + 2, random.normal(19, 5) * strength + 1
    hair = np.array(HAIR[random.integers(len(HAIR))]) + random.normal(0, (5, 3, 4))
    beard = bool(random.random() < 0.4)
    return Likeness(
        skin=to_rgb(lightness, a, b),
        hair=to_rgb(float(np.clip(hair[0], 5, 92)), *hair[1:]) if random.random() < 0.9 else None,
        glasses=str(random.choice(["none", "clear", "sun"], p=[0.45, 0.38, 0.17])),  # type: ignore[arg-type]
        beard=beard,
        moustache=bool(random.random() < (0.8 if beard else 0.2)),
        hairdo=HAIRDOS[random.integers(len(HAIRDOS))],
    )


def to_rgb(lightness: float, a: float, b: float) -> tuple[int, int, int]:
    """CIELAB → the nearest color that can be shown."""
    pixel = cv2.cvtColor(np.array([[[lightness, a, b]]], np.float32), cv2.COLOR_LAB2RGB)[0, 0]
    red, green, blue = (round(float(v)) for v in np.clip(pixel * 255, 0, 255))
    return red, green, blue


def attributes_of(person: Likeness) -> FaceAttributes:
    """What would be measured of somebody who looks so."""
    return FaceAttributes(
        skin=None if person.skin is None else to_lab(person.skin),
        hair=None if person.hair is None else to_lab(person.hair),
        glasses=float(person.glasses in ("clear", "sun")),
        sunglasses=float(person.glasses == "sun"),
        beard=float(bool(person.beard)),
        moustache=float(bool(person.moustache)),
        hairdo=person.hairdo,
    )


def let_through(whole: Likeness, character_skin: Sequence[int], level: int) -> Likeness:
    """What a level draws of a person: half the skin color, colors, glasses, beard, then hair."""
    out = Likeness()
    if level >= COLORS:
        out = replace(out, skin=whole.skin, hair=whole.hair)
    elif level == FIRST and whole.skin is not None:
        mean = (np.array(to_lab(whole.skin)) + to_lab(tuple(character_skin))) / 2  # type: ignore[arg-type]
        out = replace(out, skin=to_rgb(*(float(v) for v in mean)))
    if level >= GLASSES:
        out = replace(out, glasses=whole.glasses)
    if level >= BEARD:
        out = replace(out, beard=whole.beard, moustache=whole.moustache)
    if level >= HAIR_SHAPE:
        out = replace(out, hairdo=whole.hairdo)
    return out


class OffsetTrainer:
    """Teaches the offsets; see `toonify.training.core.loop.Trainer`.

    Args:
        generator: the layer-swapped one, frozen.
        latents: (N, num_ws, w_dim) of photographs; `measures`: how each is drawn.
        table: character → (num_ws, w_dim).
    """

    def __init__(
        self,
        network: AttributeOffsets,
        generator: Generator,
        table: dict[str, Tensor],
        latents: Tensor,
        measures: Sequence[Measures],
        *,
        steps: int,
        seed: int = 0,
    ) -> None:
        self.network, self.generator, self.table = network, generator, table
        self.latents, self.measures, self.steps = latents, measures, steps
        self.names = list(network.characters)
        self.perceptual = PerceptualLoss("alex")
        rates = ((network.linear, 1.0), (network.inner, INNER), (network.outer, OUTER))
        self.optimizer = torch.optim.Adam(
            [{"params": [p], "share": share} for p, share in rates], lr=LR, betas=(0.9, 0.99)
        )
        self.averages = {name: p.detach().clone() for name, p in network.named_parameters()}
        self.random = np.random.default_rng(seed)
        self.steps_done = 0

    @property
    def step_count(self) -> int:
        return self.steps_done

    @property
    def kimg(self) -> float:
        return self.steps_done * BATCH / 1000

    def target(self, index: int, name: str, person: Likeness, level: int) -> Tensor:
        """(3, S, S) in [-1, 1]: the character with as much of the person as the level says."""
        measures = self.measures[index]
        picture = draw(
            name,
            pose_of(measures),
            size=self.generator.resolution,
            anchors=np.array([measures[key] for key in ANCHORS]).reshape(3, 2),
            likeness=let_through(person, CAST[name].style.skin, level),
        )
        return torch.from_numpy(picture.copy()).permute(2, 0, 1).float() / 127.5 - 1

    def rendered(
        self, rows: Sequence[int], names: Sequence[str], people: Sequence[Likeness], level: int
    ) -> Tensor:
        """(B, 3, S, S) as the generator draws them."""
        characters = torch.stack([self.table[name] for name in names])
        with torch.no_grad():
            styles = cross_domain_styles(
                self.generator, self.latents[list(rows)], characters, level=DEFAULT_LEVEL
            )
        vectors = [torch.from_numpy(attributes_of(p).vector())[None] for p in people]
        features = torch.cat(
            [self.network.features(v, n, level=level) for v, n in zip(vectors, names, strict=True)]
        )
        moved = [style.expand(len(names), -1) for style in styles]
        for layer, offset in zip(self.network.layers, self.network(features, names), strict=True):
            moved[layer] = moved[layer] + offset
        with torch.autocast("cpu", torch.bfloat16):
            return self.generator.synthesize(moved).float()

    def step(self) -> dict[str, Tensor]:
        level = int(self.random.choice(LEVELS, p=SHARES))
        rows = [int(i) for i in self.random.integers(0, len(self.latents) - HELD_OUT, BATCH)]
        names = [self.names[i] for i in self.random.integers(0, len(self.names), BATCH)]
        people = [by_lot(self.random) for _ in range(BATCH)]
        wanted = torch.stack(
            [self.target(*each, level) for each in zip(rows, names, people, strict=True)]
        )
        drawn = self.rendered(rows, names, people, level)
        small, small_wanted = F.avg_pool2d(drawn, 2), F.avg_pool2d(wanted, 2)
        with torch.autocast("cpu", torch.bfloat16):
            perceptual = self.perceptual(small.clamp(-1.2, 1.2), small_wanted).mean().float()
        pixels = F.l1_loss(drawn, wanted)
        areas = F.l1_loss(F.avg_pool2d(drawn, 8), F.avg_pool2d(wanted, 8))
        total = 0.5 * pixels + areas + perceptual
        rate = LR * warmup_cosine(self.steps_done, self.steps, warmup=80, floor=0.05)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["share"]
        self.steps_done += 1
        if total.isfinite():
            self.optimizer.zero_grad(set_to_none=True)
            total.backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            self.optimizer.step()
            decay = min(0.99, self.steps_done / (self.steps_done + 10))
            for name, value in self.network.named_parameters():
                self.averages[name].lerp_(value.detach(), 1 - decay)
        return {
            "pixels": pixels.detach(), "areas": areas.detach(), "perceptual": perceptual.detach(),
        }  # fmt: skip

    def averaged(self) -> AttributeOffsets:
        """The network with the running average of its weights."""
        made = AttributeOffsets(
            **{k: v for k, v in self.network.config().items() if k != "architecture"}
        )
        made.load_state_dict(self.averages)
        return made

    def finite(self) -> bool:
        return all(bool(p.isfinite().all()) for p in self.network.parameters())

    @torch.no_grad()
    def preview(self) -> Tensor:
        """Targets and drawings of held-out faces, (4N, 3, S/2, S/2) uint8."""
        random, shown = np.random.default_rng(1), []
        for k in range(HELD_OUT):
            row = len(self.latents) - HELD_OUT + k
            names = [self.names[(k + turn) % len(self.names)] for turn in (0, 3)]
            person = by_lot(random)
            drawn = self.rendered([row] * 2, names, [person] * 2, HAIR_SHAPE)
            for name, picture in zip(names, drawn, strict=True):
                shown += [self.target(row, name, person, HAIR_SHAPE), picture]
        pictures = F.avg_pool2d(torch.stack(shown).clamp(-1, 1), 2)
        return ((pictures + 1) * 127.5).round().to(torch.uint8)

    def state_dict(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "averages": self.averages,
            "optimizer": self.optimizer.state_dict(),
            "random": self.random.bit_generator.state,
            "steps": self.steps_done,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.averages = state["averages"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.random.bit_generator.state = state["random"]
        self.steps_done = int(state["steps"])


def photographs(
    run: Path,
    teacher: MobileGenerator,
    generator: MobileGenerator,
    encoder: CompactEncoder,
    bundle: Path,
    count: int,
) -> tuple[Tensor, list[Measures]]:
    """Latents of faces as the encoder reads them, half of them spoilt, and how each is drawn."""
    if not (run / "faces/images.npy").exists():
        log(f"sampling {count} faces")
        write_samples(teacher, run / "faces", count, mixed=0.0)
    sampled = torch.from_numpy(np.load(run / "faces/w.npy"))[:, 0].float()
    images = np.load(run / "faces/images.npy", mmap_mode="r")
    prior = cut(teacher, generator.resolution)  # its head isn't fitted: it makes no pictures
    if not (run / "reader.pt").exists():
        log("measuring the faces, fitting the pose reader")
        names, values = measure_faces(FaceMesh(bundle), images)
        fit_pose_reader(prior, sampled, values, names)[0].save(run / "reader.pt")
    random, rows = torch.Generator().manual_seed(5), []
    for number, start in enumerate(range(0, len(images), 32)):
        faces = torch.from_numpy(np.array(images[start : start + 32])).permute(0, 3, 1, 2)
        faces = faces.float() / 127.5 - 1
        if number % 2:
            faces = augment_photos(faces, generator=random)
        with torch.inference_mode():
            rows.append(encoder.encode(encoder.resample(faces)))
    latents = torch.cat(rows)
    return latents, read_poses(PoseReader.load(run / "reader.pt"), prior, latents)


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def report(row: dict[str, float]) -> None:
    if row["step"] % 20 == 0:
        log("  " + "  ".join(f"{k} {v:.4g}" for k, v in row.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", default="default", help="whose generator and characters")
    parser.add_argument("--run", type=Path, default=Path("runs/attributes"))
    parser.add_argument("--faces", type=int, default=FACES)
    parser.add_argument("--steps", type=int, default=STEPS)
    arguments = parser.parse_args()
    bundle, run = bundle_folder(arguments.bundle), arguments.run
    run.mkdir(parents=True, exist_ok=True)
    teacher = cast(MobileGenerator, load_generator(pull("ffhq-mobile")))
    generator = cast(MobileGenerator, load_generator(bundle / "generator.safetensors"))
    encoder = cast(CompactEncoder, load_encoder(bundle / "encoder.safetensors"))
    table = CharacterTable.load(bundle / "characters.safetensors")
    if not (run / "latents.pt").exists():
        latents, measures = photographs(run, teacher, generator, encoder, bundle, arguments.faces)
        (run / "measures.json").write_text(json.dumps(measures))
        torch.save(latents.half(), run / "latents.pt")
    latents = torch.load(run / "latents.pt", weights_only=True).float()
    measures = json.loads((run / "measures.json").read_text())
    layers = [k for k, layer in enumerate(generator.layers) if layer.latent_index >= FROM_ROW]
    network = AttributeOffsets(
        characters={name: own_attributes(name) for name in NAMES},
        layers=layers,
        widths=[generator.layers[k].channels for k in layers],
    )
    trainer = OffsetTrainer(
        network,
        generator.requires_grad_(False),
        {name: table[name].w_plus for name in NAMES},
        latents,
        measures,
        steps=arguments.steps,
    )

    def keep() -> None:
        save_network(
            trainer.averaged(),
            run / "attributes.safetensors",
            metadata={"source": "examples/default_bundle/attribute_offsets.py"},
            dtype=torch.float16,
        )

    folder = run / "learning"
    run_trainer(
        trainer,
        RunFolder(folder),
        steps=arguments.steps,
        snapshot=100,
        resume=(folder / "snapshot.pt").exists(),
        progress=report,
        kept=keep,
    )


if __name__ == "__main__":
    main()
