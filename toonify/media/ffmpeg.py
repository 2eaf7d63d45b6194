"""Running ffmpeg: which one, what it can encode, and its complaints in a line."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Sequence
from functools import cache
from typing import BinaryIO

from toonify.errors import InputError

OLDEST = (6, 1)
# What ffmpeg writes on a broken input while it goes on.
DAMAGE = re.compile(
    r"invalid data|error while decoding|truncat|ended prematurely|corrupt|partial file|"
    r"error submitting packet|moov atom not found|invalid nal",
    re.IGNORECASE,
)


@cache
def ffmpeg_path() -> str:
    """The newer of the system's ffmpeg and the one that comes with imageio-ffmpeg.

    Raises:
        InputError: there is none, or only one too old to keep timestamps.
    """
    found = []
    if system := shutil.which("ffmpeg"):
        found.append(system)
    try:
        import imageio_ffmpeg

        found.append(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError, OSError):
        pass  # no build for this machine: the system's will do
    versions = [(_version(path), path) for path in found]
    usable = [entry for entry in versions if entry[0] >= OLDEST]
    if not usable:
        wanted = ".".join(map(str, OLDEST))
        raise InputError(
            f"there is no ffmpeg {wanted} or newer",
            hint="Install it: pip install imageio-ffmpeg, or your system's package ffmpeg.",
        )
    return max(usable)[1]


def _version(path: str) -> tuple[int, int]:
    try:
        text = subprocess.run([path, "-version"], capture_output=True, timeout=30).stdout.decode()
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return (0, 0)
    match = re.match(r"ffmpeg version \D*(\d+)\.(\d+)", text)
    if match:
        return int(match[1]), int(match[2])
    return (99, 0) if text.startswith("ffmpeg version N-") else (0, 0)  # built from its trunk


@cache
def encodes(encoder: str) -> bool:
    """Whether that encoder is there and works: hardware's are listed on machines without it."""
    picture = "testsrc2=size=256x256:rate=25:duration=0.2"
    command = [ffmpeg_path(), "-v", "error", "-f", "lavfi", "-i", picture, "-pix_fmt", "yuv420p"]
    try:
        done = subprocess.run(
            [*command, "-c:v", encoder, "-f", "null", "-"], capture_output=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


@cache
def has_filter(name: str) -> bool:
    """Whether ffmpeg was built with a filter."""
    try:
        done = subprocess.run(
            [ffmpeg_path(), "-hide_banner", "-filters"], capture_output=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return re.search(rf"^ *\S+ +{name} ", done.stdout.decode(), re.MULTILINE) is not None


class Process:
    """ffmpeg at work, its stderr gathered.

    Args:
        arguments: without the program.
        reads: open a pipe into it (`stdin`).
        writes: open a pipe out of it (`stdout`).
        memory: bytes that it may take at most, where the system can say so; for files of
            strangers. None sets no limit.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        reads: bool = False,
        writes: bool = False,
        memory: int | None = None,
    ) -> None:
        flags = ["-hide_banner", "-nostats", "-loglevel", "warning", "-y"]
        if not reads:
            flags.append("-nostdin")
        self._process = subprocess.Popen(
            [ffmpeg_path(), *flags, *arguments],
            stdin=subprocess.PIPE if reads else subprocess.DEVNULL,
            stdout=subprocess.PIPE if writes else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            bufsize=1 << 16,
            # Ctrl-C goes to us; ffmpeg ends when we end it.
            start_new_session=True,
        )
        if memory is not None:
            _limit_memory(self._process.pid, memory)
        self.lines: deque[str] = deque(maxlen=40)
        self.damaged = False
        self._gatherer = threading.Thread(target=self._gather, daemon=True)
        self._gatherer.start()

    def _gather(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            text = line.decode(errors="replace").strip()
            self.damaged = self.damaged or DAMAGE.search(text) is not None
            self.lines.append(text)

    @property
    def stdin(self) -> BinaryIO:
        assert self._process.stdin is not None
        return self._process.stdin  # type: ignore[return-value]

    @property
    def stdout(self) -> BinaryIO:
        assert self._process.stdout is not None
        return self._process.stdout  # type: ignore[return-value]

    def finish(self, timeout: float | None = None) -> int:
        """Close the pipe into it, wait for it, give its exit status; 0 when it is still at work
        after `timeout` seconds."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):  # it ended first, and its status says why
                self._process.stdin.close()
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return 0
        self._gatherer.join(timeout=10)
        return status

    def kill(self) -> None:
        """End it, if it has not ended; whoever reads from it finds the end."""
        if self._process.poll() is None:
            self._process.kill()

    def stop(self) -> None:
        """End it, finished or not, and close its pipes."""
        self.kill()
        for pipe in (self._process.stdout, self._process.stdin):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process.wait()
        self._gatherer.join(timeout=10)

    def complaint(self) -> str:
        """Its last line that says something."""
        return complaint_of(list(self.lines))


def _limit_memory(pid: int, size: int) -> None:
    """Bound what a process may allocate; address space that is only reserved does not count."""
    try:
        from resource import RLIMIT_DATA, prlimit
    except ImportError:
        return  # no such limits on Windows and macOS
    with contextlib.suppress(OSError, ValueError):  # it ended already, or has a lower limit
        prlimit(pid, RLIMIT_DATA, (size, size))


def complaint_of(lines: Sequence[str]) -> str:
    """The most informative of ffmpeg's lines, without its prefixes."""
    cleaned = [re.sub(r"^(\[[^]]*\]\s*)+", "", line).strip(" .") for line in lines]
    reasons = [
        line
        for line in cleaned
        if line and not line.startswith(("Conversion failed", "Error opening", "Last message"))
    ]
    for line in reasons:
        if "No space left" in line or "moov atom" in line:
            return line
    return reasons[-1] if reasons else "ffmpeg gave no reason"


def write_error(what: str, process: Process) -> InputError:
    """The error for a file that ffmpeg could not write."""
    reason = process.complaint()
    if any("No space left on device" in line for line in process.lines):
        return InputError(
            f"the disk is full: can't write {what}",
            hint="Free some space and run the same command: it goes on from here.",
        )
    return InputError(f"can't write {what}: {reason}")
