"""Tiny clips, made with the ffmpeg that the package uses, and what is read back from clips."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

from toonify.media.ffmpeg import ffmpeg_path

PICTURE = ("-f", "lavfi", "-i", "testsrc2=size={size}:rate={rate}:duration={seconds}")
SOUND = ("-f", "lavfi", "-i", "sine=frequency={tone}:duration={seconds}")


def ffmpeg(*arguments: object) -> str:
    """Run it; gives stdout."""
    command = [ffmpeg_path(), "-v", "error", "-nostdin", "-y", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def picture(size: str = "64x48", rate: object = 12, seconds: float = 1) -> list[str]:
    """Input arguments of a moving test picture."""
    return [part.format(size=size, rate=rate, seconds=seconds) for part in PICTURE]


def sound(tone: int = 440, seconds: float = 1) -> list[str]:
    """Input arguments of a tone."""
    return [part.format(tone=tone, seconds=seconds) for part in SOUND]


def packets(path: Path, stream: str = "0:v:0") -> list[tuple[Fraction, int]]:
    """(seconds, bytes) of a stream's packets, in showing order."""
    text = ffmpeg("-copyts", "-i", path, "-map", stream, "-c", "copy", "-f", "framecrc", "-")
    base, rows = Fraction(1), []
    for line in text.splitlines():
        if line.startswith("#tb 0:"):
            base = Fraction(line.split(":")[1].strip())
        elif not line.startswith("#"):
            fields = [field.strip() for field in line.split(",")]
            rows.append((int(fields[2]) * base, int(fields[4])))
    return sorted(rows)


def times(path: Path, stream: str = "0:v:0") -> list[Fraction]:
    """Seconds at which a stream's packets are shown."""
    return [seconds for seconds, _ in packets(path, stream)]


def frame_hashes(path: Path) -> list[str]:
    """A hash of each decoded picture."""
    text = ffmpeg("-i", path, "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "framemd5", "-")
    return [line.split(",")[-1].strip() for line in text.splitlines() if line[0] != "#"]


def described(path: Path) -> str:
    """ffmpeg's description of a file."""
    command = [ffmpeg_path(), "-hide_banner", "-nostdin", "-i", str(path)]
    return subprocess.run(command, capture_output=True, check=False).stderr.decode()
