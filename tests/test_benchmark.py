"""Measuring, and choosing what is fastest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.fake_cuda import pretended
from tests.tiny_bundle import write_bundle
from toonify import benchmark, tuning
from toonify.benchmark import Timing, fastest
from toonify.checkpoints import load_generator
from toonify.engine import Toonifier
from toonify.errors import UsageError
from toonify.media.images import write_image
from toonify.models.base import Generator
from toonify.models.replay import WORTH_IT


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def engine(bundle) -> Toonifier:
    return Toonifier.from_bundle(bundle, device="cpu")


def timing(seconds: float, dtype: str = "float32", batch: int = 1, threads: int = 1) -> Timing:
    return Timing(
        stage="draw", dtype=dtype, batch=batch, threads=threads, cold=9.0, warm=seconds * batch
    )


def test_seconds_a_picture():
    assert timing(0.5, batch=4).per_picture == 0.5
    assert Timing(stage="start", cold=3.0).per_picture == 3.0
    assert timing(0.25, batch=2).record()["per_picture"] == 0.25


def test_the_fastest_setting_wins():
    assert fastest([timing(1.0), timing(0.5, batch=4), timing(0.7, batch=8)]).batch == 4
    # the smallest batch and fewest threads of those as good
    near = [timing(0.5, batch=8), timing(0.51, batch=2, threads=2), timing(0.52, batch=2)]
    assert fastest(near) == near[2]
    # a little gain is not worth the loss of exactness, a large one is
    assert fastest([timing(0.5), timing(0.45, "bfloat16")]).dtype == "float32"
    assert fastest([timing(0.5), timing(0.2, "bfloat16")]).dtype == "bfloat16"


def test_networks_are_measured_in_every_dtype_and_batch(engine):
    before = engine.model.dtype
    found = list(
        benchmark.measure_networks(
            engine,
            engine.characters[0],
            dtypes=(torch.float32, torch.bfloat16),
            batch_sizes=(1, 2),
            runs=2,
        )
    )
    settings = {(t.stage, t.dtype, t.batch) for t in found}
    dtypes = ("float32", "bfloat16")
    stages = ("encode", "mix", "draw")
    assert settings == {(s, d, b) for s in stages for d in dtypes for b in (1, 2)}
    assert all(t.cold > 0 and t.warm and t.warm > 0 for t in found)
    assert engine.model.dtype == before


def test_a_gpu_is_waited_for_and_computes_in_each_dtype(bundle, monkeypatch):
    """What is replayed was recorded in the dtype that is measured."""
    with pretended(monkeypatch) as gpu:
        waited: list[object] = []
        monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
        engine = Toonifier.from_bundle(bundle, device="cuda")
        seen: list[torch.dtype] = []
        drawn = engine.generator.synthesize
        monkeypatch.setattr(
            engine.generator,
            "synthesize",
            lambda styles: seen.append(torch.get_autocast_dtype("cuda")) or drawn(styles),
        )
        dtypes = (torch.bfloat16, torch.float16)
        found = benchmark.measure_networks(
            engine, engine.characters[0], dtypes=dtypes, batch_sizes=(1,), runs=1
        )
        assert len(list(found)) == 6
        assert set(seen) == set(dtypes) and gpu.recordings == 4
        assert len(waited) == 2 * 2 * (2 + WORTH_IT), "encode and mix; drawings are waited for"


def test_tuning_keeps_what_auto_takes(engine, bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("TOONIFY_HOME", str(tmp_path))
    threads = torch.get_num_threads()
    record = benchmark.tune(engine, str(bundle), engine.characters[0], runs=1)
    assert torch.get_num_threads() == threads
    assert tuning.choose_batch_size(engine.device, bundle) == record["batch_size"]
    assert tuning.kept_dtype(engine.device, bundle) == record["dtype"]
    again = Toonifier.from_bundle(bundle, device="cpu")
    assert str(again.model.dtype) == f"torch.{record['dtype']}"


def half_as_bright(generator: Generator) -> Callable[[Tensor], Tensor]:
    return lambda w_plus: generator.synthesize(generator.styles(w_plus)) * 0.5


def test_another_generator_is_timed_beside_ours(engine):
    rows = list(benchmark.compare(engine, f"{__name__}:half_as_bright", batch_sizes=(1, 2), runs=2))
    assert [ours.batch for ours, _, _ in rows] == [1, 2]
    for ours, theirs, difference in rows:
        assert ours.per_picture > 0 and theirs.per_picture > 0
        assert difference is not None and difference > 0


def no_function(generator: Generator) -> int:
    return 5


def made_badly(generator: Generator) -> None:
    raise KeyError("weights")


def draws_nothing(generator: Generator) -> Callable[[Tensor], None]:
    return lambda w_plus: None


def draws_badly(generator: Generator) -> Callable[[Tensor], Tensor]:
    return lambda w_plus: w_plus @ w_plus[0]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (no_function, "gives no function but int"),
        (made_badly, "fails: KeyError: 'weights'"),
        (draws_nothing, "draws no images but NoneType"),
        (draws_badly, "fails: RuntimeError"),
    ],
)
def test_what_fails_of_anothers_is_said_to_be_its_own(engine, other, message):
    with pytest.raises(UsageError, match=f"{other.__name__} {message}"):
        list(benchmark.compare(engine, f"{__name__}:{other.__name__}", batch_sizes=(1,), runs=1))


@pytest.mark.parametrize("name", ["", "json", "json:nothing", "no_such_module:x", "json:__name__"])
def test_what_is_no_callable_is_said(name):
    with pytest.raises(UsageError, match=r"callable|imported"):
        benchmark.load_callable(name)


def test_growth_is_drawn_as_one_picture():
    from xml.etree import ElementTree

    from benchmarks.growth import crowd, drawn

    curve = ([1.0, 2.0, 4.0], [0.5, 0.7, 1.3])
    page = ElementTree.fromstring(
        drawn({"area": {"ink": curve, "bram": curve}, "batch": {"a": curve}})
    )
    inner = [part for part in page if part.tag.endswith("svg")]
    assert len(inner) == 2 and inner[0].get("y") != inner[1].get("y")
    faces = [np.full((8, 8, 3), shade, np.uint8) for shade in (10, 90)]
    picture = crowd(faces, 3)
    assert picture[100, 100, 0] == 10 and picture[100, 900, 0] == 90 and picture[900, 900, 0] == 200


def test_golden_pictures_are_compared_by_their_pixels(tmp_path):
    from benchmarks.golden import compare, write_inputs

    before, after = tmp_path / "before", tmp_path / "after"
    for folder in (before, after):
        (folder / "clip").mkdir(parents=True)
        write_image(folder / "clip/1.png", np.full((8, 8, 3), 90, np.uint8))
        write_image(folder / "a.png", np.full((8, 8, 3), 90, np.uint8))
    assert all(one.same for one in compare(before, after))
    changed = np.full((8, 8, 3), 90, np.uint8)
    changed[:2, :4, 1] = 80
    write_image(after / "a.png", changed)
    write_image(after / "clip/1.png", changed[:4])
    write_image(before / "gone.png", changed)
    found = {str(one.path): str(one) for one in compare(before, after) if not one.same}
    assert set(found) == {"a.png", "clip/1.png", "gone.png"}
    assert "12.50% of the pixels differ, by 10 at most" in found["a.png"]
    inputs = write_inputs(tmp_path / "inputs")
    assert len(list(Path(inputs["clip"]).iterdir())) == 5 and Path(inputs["style"]).is_file()


def test_golden_networks_are_compared_by_their_weights(tmp_path):
    from benchmarks.golden import compare

    for side, weight in (("before", 1.0), ("after", 1.25)):
        (tmp_path / side / "run").mkdir(parents=True)
        weights = {"a": torch.ones(3), "b": torch.tensor([1.0, weight])}
        save_file(weights, tmp_path / side / "run/encoder.safetensors")
        save_file({"a": torch.ones(3)}, tmp_path / side / "same.safetensors")
        save_file({"a": torch.ones(len(side))}, tmp_path / side / "shape.safetensors")
        write_image(tmp_path / side / "run/preview-1.jpg", np.full((8, 8, 3), weight * 9, np.uint8))
    changed, same, shape = compare(tmp_path / "before", tmp_path / "after")
    assert str(changed).endswith("20.00% of the weights differ, by 0.25 at most")
    assert same.same and shape.largest is None


def test_golden_cases_that_one_revision_lacks_are_left_out(tmp_path, monkeypatch):
    from benchmarks import golden

    class Done:
        stderr = "No such command"

        def __init__(self, command):
            self.returncode = {"old": 0, "new": 2, "edit": 1}[command[5]]

    monkeypatch.setattr(golden.subprocess, "run", lambda command, **options: Done(command))
    monkeypatch.setattr(golden, "CASES", {"a": "old x", "b": "new {photo}", "c": "edit y"})
    unknown, failed = golden.run_cases(tmp_path, tmp_path / "out", {"photo": "p"}, ["a", "b", "c"])
    assert (unknown, failed) == (["b"], ["c"])


def test_golden_trainings_get_what_they_ask_for(tmp_path):
    from benchmarks.golden import CASES, TRAININGS
    from benchmarks.golden_inputs import write_training_inputs

    inputs = write_training_inputs(tmp_path / "training")
    for name in TRAININGS:
        assert "{" not in CASES[name].format(out="out", **inputs)
    assert load_generator(inputs["fine"]).resolution == 128
    assert len(list(Path(inputs["faces"]).iterdir())) == 12


def test_a_card_is_measured_by_one_command(monkeypatch):
    from benchmarks import gpu

    widths = dict.fromkeys((4, 8, 16, 32, 64), 8)
    with pretended(monkeypatch) as card:
        made = list(gpu.works(widths))
        names = ("encoder", "generator 512", "ink 512", "StyleGAN2 64", "StyleGANEX 50x45")
        assert tuple(work.name for work in made) == names
        monkeypatch.setattr(gpu, "DTYPES", (torch.float32, torch.float16))
        rows = list(gpu.measure(made[3], torch.device("cuda", 0), batch_sizes=(1, 2), runs=1))
    assert [(row["dtype"], row["batch"]) for row in rows] == [
        (dtype, batch) for dtype in ("float32", "float16") for batch in (1, 2)
    ]
    assert card.recordings == 4
    for row in rows:
        assert row["replayed_ms"] > 0
        assert row["mean_difference"] < (1e-5 if row["dtype"] == "float32" else 0.05)


def test_a_card_whose_memory_is_short_is_measured_as_far_as_it_goes(monkeypatch):
    from benchmarks import gpu

    def draw(x: Tensor) -> Tensor:
        if len(x) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory\nand more")
        return x * 2

    work = gpu.Work("double", (torch.nn.Linear(1, 1),), draw, (torch.ones(1, 3),))
    rows = list(gpu.measure(work, torch.device("cpu"), runs=1))
    assert [row.get("failed") for row in rows] == [None, "CUDA out of memory"] * 2
