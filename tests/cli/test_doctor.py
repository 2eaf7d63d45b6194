import shutil


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
