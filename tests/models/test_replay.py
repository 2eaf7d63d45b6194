"""Networks replayed from recordings against the same networks called."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from toonify.models import replay
from toonify.models.encoders.compact import CompactEncoder
from toonify.models.generators.mobile import MobileGenerator
from toonify.models.generators.stylegan2 import StyleGAN2Generator
from toonify.models.generators.styleganex import StyleGANEXGenerator
from toonify.models.replay import Replayed
from toonify.models.unet import UNet

CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


class Recorder:
    """Does on any device what a graph does on CUDA: computes anew, at the places it was recorded
    with."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, work: Callable[[], object]) -> tuple[object, Callable[[], object]]:
        self.count += 1
        outputs = work()

        def again() -> None:
            found = work()
            for place, value in zip(_listed(outputs), _listed(found), strict=True):
                place.copy_(value)

        return outputs, again


def _listed(outputs: object) -> list[Tensor]:
    rows = outputs if isinstance(outputs, tuple) else (outputs,)
    return [x for x in rows if isinstance(x, Tensor)]


def generator() -> MobileGenerator:
    torch.manual_seed(0)
    net = MobileGenerator(resolution=64, channels=(16, 24, 16, 12), w_dim=8, mapping_layers=2)
    return net.eval().requires_grad_(False)


def test_without_a_gpu_the_function_is_called():
    seen = []

    def double(x: Tensor) -> Tensor:
        seen.append(x)
        return 2 * x

    x = torch.ones(3)
    assert torch.equal(Replayed(double)(x), 2 * x)
    assert seen[0] is x


def test_a_replayed_network_draws_the_same():
    net, recorder = generator(), Recorder()
    drawing = Replayed(lambda *styles: net.synthesize(styles), record=recorder)
    for _ in range(3):
        styles = [x.detach() for x in net.styles(torch.randn(2, net.num_ws, 8))]
        with torch.inference_mode():
            assert torch.equal(drawing(*styles), net.synthesize(styles))
    assert recorder.count == 1


def test_results_are_not_overwritten_by_the_next_call():
    double = Replayed(lambda x: 2 * x, record=Recorder())
    first, second = double(torch.ones(2)), double(torch.zeros(2))
    assert first.tolist() == [2, 2] and second.tolist() == [0, 0]


def test_several_results_some_of_them_none():
    work = Replayed(lambda x: (x + 1, None), record=Recorder())
    work(torch.zeros(2))
    found, nothing = work(torch.ones(2))
    assert found.tolist() == [2, 2] and nothing is None


def test_each_shape_has_a_recording_and_few_are_kept():
    recorder = Recorder()
    work = Replayed(lambda x: x + 1, record=recorder)
    sizes = range(1, replay.MOST + 2)
    for size in (*sizes, max(sizes)):
        assert work(torch.zeros(size)).tolist() == [1] * size
    assert recorder.count == len(sizes)
    work(torch.zeros(1))  # used longest ago, and forgotten
    assert recorder.count == len(sizes) + 1


def test_networks_read_nothing_on_the_processor():
    """On the meta device tensors have no values: whoever reads one fails, as within a graph."""
    with torch.device("meta"), torch.inference_mode():
        w_plus = torch.empty(2, 10, 8)
        compact = MobileGenerator(
            resolution=64, channels=(16, 24, 16, 12), w_dim=8, mapping_layers=2
        )
        plain = StyleGAN2Generator(
            resolution=64, channels={4: 8, 8: 8, 16: 8, 32: 8, 64: 8}, w_dim=8, mapping_layers=2
        )
        for net in (compact, plain, StyleGANEXGenerator(plain)):
            assert net.synthesize(net.styles(w_plus)).shape == (2, 3, 64, 64)
        encoder = CompactEncoder(
            num_ws=10, w_dim=8, input_size=32, widths=(8, 8, 8, 8, 8), depth=1, steps=2
        )
        assert encoder.encode(torch.empty(2, 3, 32, 32), compact).shape == w_plus.shape
        network = UNet(widths=(8, 16), depths=(1, 1))
        assert network(torch.empty(1, 3, 30, 50)).shape == (1, 3, 30, 50)


@CUDA
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_gpu_draws_what_the_cpu_does(dtype):
    net = generator()
    styles = [x.detach() for x in net.styles(torch.randn(2, net.num_ws, 8))]
    with torch.inference_mode():
        expected = net.synthesize(styles)
    net.cuda()

    def draw(*given: Tensor) -> Tensor:
        with torch.autocast("cuda", dtype, enabled=dtype != torch.float32):
            return net.synthesize(given)

    drawing = Replayed(draw)
    for _ in range(2):
        found = drawing(*(x.cuda() for x in styles)).float().cpu()
        near = 1e-4 if dtype == torch.float32 else 0.02
        assert (found - expected).abs().mean() < near * expected.abs().mean()
