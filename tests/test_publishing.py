"""What publishes the package agrees with itself."""

import re
import tomllib
from pathlib import Path

import pytest

import toonify

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_there_is_one_version(project):
    assert "version" not in project["project"] and project["project"]["dynamic"] == ["version"]
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert cited and cited[1] == toonify.__version__
    assert f"## {toonify.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_types_and_data_are_packaged(project):
    data = project["tool"]["setuptools"]["package-data"]["toonify"]
    assert "py.typed" in data and (ROOT / "toonify" / "py.typed").exists()
    for pattern in data:
        assert list((ROOT / "toonify").glob(pattern)), pattern


def test_extras_that_messages_name_are_there(project):
    name, extras = project["project"]["name"], project["project"]["optional-dependencies"]
    named = set()
    for path in (ROOT / "toonify").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        named |= set(re.findall(rf"install '?{name}\[(\w+)\]", text))
        assert not re.search(r"install '?toonify(\[|\b(?!-))", text), path
    assert named and named <= set(extras)


def test_what_pages_link_to_is_there():
    gone = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not (page.parent / target).exists():
                gone.append(f"{page.relative_to(ROOT)}: {target}")
    assert not gone


def test_the_architecture_names_every_part():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    package = ROOT / "toonify"
    rooms = [path.parent for path in package.rglob("__init__.py") if path.parent != package]
    parts = [f"{room.name}/" for room in rooms if "bundles" not in room.parts]
    parts += [path.name for path in package.glob("*.py") if not path.name.startswith("__")]
    assert [part for part in parts if part not in text] == []
