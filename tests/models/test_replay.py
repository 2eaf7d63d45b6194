"""Networks replayed from recordings against the same networks called."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from toonify.device import arithmetic
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

    def __call__(
        self, work: Callable[[], object], device: torch.device
    ) -> tuple[object, Callable[[], object]]:
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


def calls(work: Replayed[Tensor], *given: Tensor, count: int = replay.WORTH_IT) -> list[Tensor]:
    """As many calls as make a recording."""
    return [work(*given) for _ in range(count)]


def test_a_replayed_network_draws_the_same():
    net, recorder = generator(), Recorder()
    drawing = Replayed(lambda *styles: net.synthesize(styles), record=recorder)
    for _ in range(replay.WORTH_IT + 2):
        styles = [x.detach() for x in net.styles(torch.randn(2, net.num_ws, 8))]
        with torch.inference_mode():
            assert torch.equal(drawing(*styles), net.synthesize(styles))
    assert recorder.count == 1


def test_results_are_not_overwritten_by_the_next_call():
    double = Replayed(lambda x: 2 * x, record=Recorder())
    first = calls(double, torch.ones(2))[-1]
    second = double(torch.zeros(2))
    assert first.tolist() == [2, 2] and second.tolist() == [0, 0]


def test_several_results_some_of_them_none():
    work = Replayed(lambda x: (x + 1, None), record=Recorder())
    calls(work, torch.zeros(2))
    found, nothing = work(torch.ones(2))
    assert found.tolist() == [2, 2] and nothing is None


def test_each_shape_has_a_recording_and_few_are_kept():
    recorder = Recorder()
    work = Replayed(lambda x: x + 1, record=recorder)
    sizes = range(1, replay.MOST + 2)
    for size in (*sizes, max(sizes)):
        assert calls(work, torch.zeros(size))[-1].tolist() == [1] * size
    assert recorder.count == len(sizes)
    work(torch.zeros(1))  # used longest ago, and forgotten
    assert recorder.count == len(sizes) + 1


def test_shapes_that_come_once_are_not_recorded():
    """Photographs of a folder are of many sizes, eyes drawn once more of as many."""
    recorder = Recorder()
    work = Replayed(lambda x: x + 1, record=recorder)
    for size in range(1, 2 * replay.MOST_COUNTED):
        assert work(torch.zeros(size)).shape == (size,)
    assert recorder.count == 0


def test_another_dtype_is_another_recording():
    recorder, dtype = Recorder(), [torch.float32]
    work = Replayed(lambda x: x.to(dtype[0]), state=lambda: dtype[0], record=recorder)
    assert calls(work, torch.ones(2))[-1].dtype == torch.float32
    dtype[0] = torch.bfloat16
    assert calls(work, torch.ones(2))[-1].dtype == torch.bfloat16
    assert recorder.count == 2


def test_where_nothing_can_be_recorded_it_is_said_once_and_drawn(caplog):
    def refuses(work: Callable[[], object], device: torch.device) -> tuple[object, object]:
        raise RuntimeError("operation not permitted when stream is capturing\nmore about it")

    work = Replayed(lambda x: x + 1, record=refuses)
    for found in calls(work, torch.zeros(2), count=replay.WORTH_IT + 2):
        assert found.tolist() == [1, 1]
    (message,) = caplog.messages
    assert "without CUDA graphs" in message and "not permitted" in message and "more" not in message


def test_a_recording_that_does_not_fit_is_no_refusal():
    def too_large(work: Callable[[], object], device: torch.device) -> tuple[object, object]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    work = Replayed(lambda x: x + 1, record=too_large)
    with pytest.raises(torch.OutOfMemoryError):
        calls(work, torch.zeros(2))


def test_graphs_are_recorded_on_the_tensors_device_one_at_a_time(monkeypatch):
    """CUDA's functions write down what they are called with."""
    calls: list[tuple[object, ...]] = []

    class Stream:
        def __init__(self, device: torch.device) -> None:
            self.device = device

        def wait_stream(self, other: Stream) -> None:
            calls.append(("wait", self.device, other.device))

    @contextmanager
    def within(name: str, value: object, **more: object) -> Iterator[None]:
        calls.append((name, value, *more.values()))
        yield
        calls.append((f"{name} left",))

    class Graph:
        def replay(self) -> None:
            calls.append(("replay",))

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: "pool")
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "device", lambda device: within("device", device))
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: within("stream", stream))
    monkeypatch.setattr(torch.cuda, "graph", lambda graph, **more: within("graph", graph, **more))
    second, record = torch.device("cuda", 1), replay.GraphRecorder()

    def work() -> Tensor:
        calls.append(("work",))
        return torch.zeros(1)

    _, again = record(work, second)
    again()
    names = [name for name, *_ in calls]
    warm = ["stream", *["work"] * replay.WARM_UPS, "stream left"]
    recording = ["graph", "work", "graph left", "device left", "replay"]
    assert names == ["device", "wait", *warm, "wait", *recording]
    assert all(row[1:] == (second, second) for row in calls if row[0] == "wait")
    assert next(row for row in calls if row[0] == "device")[1] == second
    record(work, second)
    first, other = (row for row in calls if row[0] == "graph")
    _, graph, pool, stream, mode = first
    assert (pool, stream.device, mode) == ("pool", second, "thread_local")
    assert other[1] is not graph and other[2:] == first[2:], "they share their memory"


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
        with arithmetic(torch.device("cuda"), dtype):
            return net.synthesize(given)

    drawing = Replayed(draw)
    for _ in range(replay.WORTH_IT + 1):
        found = drawing(*(x.cuda() for x in styles)).float().cpu()
        near = 1e-4 if dtype == torch.float32 else 0.02
        assert (found - expected).abs().mean() < near * expected.abs().mean()
