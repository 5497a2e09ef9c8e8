"""Two models side by side in bounded memory: the same place, whatever is kept of the first."""

import tracemalloc

import pytest
import torch

from caten_sd import verify
from caten_sd.proof import side_by_side


def deep(layers: int = 40, width: int = 32) -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(*(torch.nn.Linear(width, width) for _ in range(layers)))


def changed(place: int, by: float) -> torch.nn.Sequential:
    model = deep()
    with torch.no_grad():
        model[place].weight[3, 5] += by
    return model


@pytest.mark.parametrize("place", [0, 1, 20, 39])
def test_projections_find_the_place_that_whole_arrays_do(
    place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, inputs = deep(), changed(place, 1e-3), torch.randn(200, 32)
    whole = verify(a, b, inputs)
    for kept in (0, 100_000):
        monkeypatch.setattr(side_by_side, "KEPT", kept)
        found = verify(a, b, inputs)
        assert (found.layer, found.parting) == (str(place), whole.parting)
        assert found.verdict == whole.verdict
        assert "compared within a tenth" in str(found)
    assert "compared within a tenth" not in str(whole)
    assert verify(a, deep(), inputs).agrees


def test_memory_does_not_grow_with_the_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "KEPT", 1 << 20)
    inputs = torch.randn(4096, 32)  # of 512 KiB, as all outputs are
    for layers in (4, 40):
        tracemalloc.start()
        assert verify(deep(layers), deep(layers), inputs).agrees
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 10 << 20, f"{peak} bytes for {layers} layers"


def test_the_models_are_run_again_once_and_only_for_the_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(side_by_side, "KEPT", 0)
    calls = []
    a, b = deep(), changed(7, 1.0)
    a.register_forward_hook(lambda *_: calls.append("a"))
    assert verify(a, b, torch.randn(100, 32)).layer == "7"
    assert calls == ["a", "a"]


def test_values_that_are_not_finite_part_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "KEPT", 0)
    a, b = deep(), changed(7, float("nan"))
    assert verify(a, b, torch.randn(100, 32)).layer == "7"
    assert verify(b, changed(7, float("nan")), torch.randn(100, 32)).agrees


class Counting(torch.nn.Module):
    """A model that calls its layer three times, and once or never from its second run on."""

    def __init__(self, by: float, after: int) -> None:
        super().__init__()
        self.fc, self.by, self.left = torch.nn.Linear(8, 8, bias=False), by, [3, after]
        torch.nn.init.ones_(self.fc.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        count = self.left.pop(0)
        if not count:
            raise RuntimeError("not again")
        for number in range(count):
            x = self.fc(x * (self.by if number == 2 else 1))
        return x


@pytest.mark.parametrize("after", [0, 1])
def test_a_model_that_does_not_come_there_again_is_known_by_projections(
    after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(side_by_side, "KEPT", 0)
    found = verify(Counting(1, after), Counting(2, after), torch.ones(200, 8))
    assert not found.agrees
    assert "by a relative 1" in found.verdict
    assert found.compared[found.parting or 0].largest is None


class Imaginary(torch.nn.Linear):
    by = 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.complex(x, super().forward(x) * self.by)


@pytest.mark.parametrize("kept", [0, 1 << 20])
def test_imaginary_parts_are_compared(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "KEPT", kept)
    a, b = Imaginary(32, 32), Imaginary(32, 32)
    b.load_state_dict(a.state_dict())
    assert verify(a, b, torch.randn(200, 32)).agrees
    b.by = 2
    assert not verify(a, b, torch.randn(200, 32)).agrees
