"""What the recipe adds to a bundle at its end."""

from tiny_bundle import write_bundle

from examples.default_bundle.card import SMALL, add_small_networks, finish, store_small
from toonify.bundle import PORTRAIT, Bundle, check_part, has_parts, read_manifest
from toonify.portrait import bundle_styles


def test_small_networks_and_the_card(tmp_path):
    folder = write_bundle(tmp_path / "bundle")
    before = (folder / "encoder.safetensors").stat().st_size
    store_small(folder)
    assert (folder / "encoder.safetensors").stat().st_size <= before
    add_small_networks(folder)
    finish(folder, drawn=1, encoder_steps=1, coarse_steps=1, fine_steps=1, k=1)
    manifest = read_manifest(folder)
    for part in SMALL:
        check_part(folder, manifest, part)
    assert has_parts(folder, PORTRAIT) and bundle_styles(folder)[0] == "ink"
    assert manifest["files"]["iris"]["license"] == "Apache-2.0"
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert all(entry["sha256"] in card for entry in manifest["files"].values())
    Bundle.load(folder)
