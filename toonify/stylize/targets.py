"""Where drawings go, whether they may, and which of them are there already."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from toonify.errors import InputError, ToonifyError, UsageError
from toonify.stylize.jobs import Job, numbered
from toonify.stylize.options import Options, Result
from toonify.utils import marks
from toonify.utils.hashing import file_sha256
from toonify.utils.outputs import InputFiles, check_output


class Targets:
    """The files that a run's drawings become.

    Args:
        options: of the batch.
        inputs: all that the run reads, which is never replaced.
    """

    def __init__(self, options: Options, inputs: InputFiles) -> None:
        self.options, self.inputs = options, inputs
        self.digests = {name: options.digest(name) for name in options.characters}
        self.settings = options.settings() | {"characters": list(options.characters)}

    def check_all(self, jobs: Sequence[Job]) -> None:
        """Refuse jobs of which a drawing would replace something that is read.

        Raises:
            UsageError: one would, or two jobs have one target.
        """
        if self.options.name is not None:
            self.options.name.check(
                characters=len(self.options.characters), several_faces=self.by_face
            )
        owners: dict[Path, Job] = {}
        for job in jobs:
            for path in self.known(job):
                if job.explicit or self.inputs.is_taken(path):
                    self.check(job, path)
                if (other := owners.setdefault(path, job)) is not job:
                    raise UsageError(
                        f"{other.name} and {job.name} would both become {path}",
                        hint="Convert them in separate runs, or choose another `name`.",
                    )

    @property
    def by_face(self) -> bool:
        """Whether every face has a file of its own."""
        options = self.options
        return options.mode == "crop" and options.faces == "all" and not options.aligned

    def named(self, target: Path, face: int, character: str) -> Path:
        """The file of one face, 0 and up, under one name."""
        if self.options.name is not None:
            return self.options.name.path(
                target, character=character, face=face + 1, level=self.options.level
            )
        return numbered(
            target,
            face=face + 1 if self.by_face else None,
            character=character if len(self.options.characters) > 1 else None,
        )

    def known(self, job: Job) -> list[Path]:
        """Outputs that are certain before the faces are counted: those of the first one."""
        if job.target is None:
            return []
        return [self.named(job.target, 0, name) for name in self.options.characters]

    def is_fresh(self, job: Job) -> bool:
        """Whether nothing lies yet where a job's drawings go."""
        return not any(os.path.lexists(path) for path in self.known(job))

    def check(self, job: Job, path: Path) -> None:
        """Refuse a file that must not be written; see `check_output`."""
        named = job.explicit and path == job.target
        check_output(path, self.inputs, named=named, folder=job.folder)

    def there(self, job: Job) -> Result | None:
        """What an earlier run has drawn of this photograph with these options, if it is all."""
        if job.source is None or job.target is None:
            return None
        sha256 = ""
        outputs, faces = [], 1
        for name in self.options.characters:
            face, of = 0, 1
            while face < of:
                path = self.named(job.target, face, name)
                mark = marks.read_mark(path)
                if mark is None or not marks.names(mark, path):
                    return None
                if mark.get("settings") != self.digests[name]:
                    return None
                sha256 = sha256 or photo_sha256(job.source)
                if mark.get("input") != sha256 or not isinstance(mark.get("about"), dict):
                    return None
                outputs.append({"path": str(path), **mark["about"]})
                faces = int(mark.get("faces", 1))
                of = faces if self.by_face else 1
                face += 1
        outputs.sort(key=lambda output: output.get("face", 0))
        return Result(
            job.label,
            "skipped",
            outputs,
            seconds=None,
            sha256=sha256,
            settings=self.settings,
            faces=faces,
        )


def photo_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of an ordinary file.

    Raises:
        InputError: it can't be read.
    """
    try:
        if not path.is_file():  # a pipe would wait for ever
            raise InputError(f"no such file: {path}", hint="Check the name.")
        return file_sha256(path)
    except ToonifyError:
        raise
    except OSError as error:
        raise InputError(f"can't read {path}: {error.strerror or error}") from error
