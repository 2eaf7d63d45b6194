"""Fuzz the parsers guided by coverage: `python tests/fuzz/fuzz.py [TARGET…] [--seconds N]`.

Needs the extra `fuzz` (atheris, on Linux). Each target runs in a process of its own; what breaks
one is kept in fuzz-findings/, to be given as `--replay FILE`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
FINDINGS = ROOT / "fuzz-findings"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("targets", nargs="*")
    options.add_argument("--seconds", type=int, default=60, help="for each target")
    options.add_argument("--replay", type=Path, help="run one kept finding")
    options.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = options.parse_args()
    sys.path[:0] = [str(ROOT)]
    if arguments.inside:
        return _inside(arguments.targets[0], arguments.seconds)
    from tests.fuzz.targets import TARGETS

    names = arguments.targets or list(TARGETS)
    if arguments.replay:
        TARGETS[names[0]].run(arguments.replay.read_bytes())
        return 0
    broken = 0
    for name in names:
        started = time.monotonic()
        command = [sys.executable, __file__, name, "--inside", f"--seconds={arguments.seconds}"]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        log = done.stdout + done.stderr
        runs = next((x.split()[1] for x in log.splitlines()[::-1] if x.startswith("Done")), "?")
        broken += done.returncode != 0
        outcome = "nothing found" if done.returncode == 0 else "BROKEN, see fuzz-findings/"
        print(
            f"{name:<12} {runs:>9} runs {time.monotonic() - started:6.0f} s  {outcome}", flush=True
        )
        if done.returncode:
            print("\n".join(log.splitlines()[-40:]))
    return 1 if broken else 0


def _inside(name: str, seconds: int) -> int:
    import atheris

    with atheris.instrument_imports(include=["toonify", "PIL"]):
        from tests.fuzz.targets import TARGETS

    target = TARGETS[name]
    FINDINGS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(target.seeds()):
            Path(corpus, str(number)).write_bytes(seed)
        limits = [f"-max_total_time={seconds}", "-rss_limit_mb=4096", "-timeout=20"]
        limits += ["-max_len=65536", f"-artifact_prefix={FINDINGS}/{name}-", corpus]
        atheris.Setup([sys.argv[0], *limits], target.run)
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
