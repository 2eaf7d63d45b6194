import pytest
import torch

from toonify.training.core.schedule import ema_decay, set_rate, update_ema, warmup_cosine


def test_a_rate_warms_up_and_falls_to_its_floor():
    rates = [warmup_cosine(step, 100, warmup=10, floor=0.02) for step in range(121)]
    assert rates[0] == pytest.approx(0.1) and rates[:9] == sorted(rates[:9])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[100] == rates[120] == 0.02, "beyond the end it stays"
    assert rates[50] == pytest.approx(0.5)


def test_an_average_forgets_quickly_at_first():
    kept = [ema_decay(step, 0.99) for step in (0, 10, 10_000)]
    assert kept == [0.1, pytest.approx(0.55), 0.99]
    average = {"w": torch.zeros(2), "steps": torch.tensor(1)}
    update_ema(average, {"w": torch.ones(2, requires_grad=True), "steps": torch.tensor(7)}, 0.75)
    assert average["w"].tolist() == [0.25, 0.25] and int(average["steps"]) == 7
    assert not average["w"].requires_grad


def test_every_group_gets_the_rate():
    weights = [torch.zeros(1, requires_grad=True) for _ in range(2)]
    optimizer = torch.optim.Adam([{"params": [weight]} for weight in weights])
    set_rate(optimizer, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.5]
