import re
import shutil
import tomllib
from pathlib import Path

from toonify import diagnosis


def test_a_broken_default_bundle_is_status_3(run, monkeypatch, tmp_path):
    monkeypatch.setattr("toonify.bundle._SHIPPED", tmp_path / "nothing")
    result = run("doctor", "--json")
    assert result.status == 3 and result.err.count("\n") == 1
    (record,) = result.records
    assert not record["ok"] and "error" in record["bundle"]
    assert record["packages"]["torch"] and record["devices"]["chosen"]


def test_all_well(run, monkeypatch, tmp_path, bundle):
    shutil.copytree(bundle, tmp_path / "bundles/default")
    monkeypatch.setattr("toonify.bundle._SHIPPED", tmp_path / "bundles")
    result = run("doctor")
    assert result.status == 0, result.err
    assert "characters: mina, otto" in result.out and "SHA-256 as in the manifest" in result.out
    assert "styles: none" in result.out


def test_extras_are_told_with_the_line_that_adds_them(run, monkeypatch):
    there = {"gradio", "ray"}
    monkeypatch.setattr(diagnosis, "find_spec", lambda name: name in there or None)
    monkeypatch.setattr(diagnosis, "_bundle", lambda: {"name": "default", "styles": ["ink"]})
    out = run("doctor").out
    assert "extras    web, cluster; more: pip install 'toonify-toolkit[live,pdf," in out
    assert "styles: ink" in out
    there |= set(diagnosis.EXTRAS.values())
    assert "tensorboard\nffmpeg" in run("doctor").out


def test_all_that_the_package_requires_is_looked_for():
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    required = {re.split(r"[><=\[;]", entry)[0] for entry in project["dependencies"]}
    assert set(diagnosis.PACKAGES) == required
    assert set(diagnosis.EXTRAS) <= set(project["optional-dependencies"])
