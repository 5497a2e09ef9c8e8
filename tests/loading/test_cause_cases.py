"""Each cause has cases; its fix, pasted as it is, gives the true model, or there is no fix."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import caten_sd
from caten_sd.loading import causes
from caten_sd.loading.load import plan_load
from caten_sd.state.backing import BytesBacking
from caten_sd.state.dtype import DType
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.source import Source

State = dict[str, Any]
Built = tuple[nn.Module, nn.Module, State]  # the true model, a fresh one, and the file


def pair(make: Callable[[], nn.Module], other: Callable[[], nn.Module] | None = None) -> Built:
    """Return a true model of other values than the fresh one, and its state."""
    torch.manual_seed(1)
    true = (other or make)().eval()
    torch.manual_seed(2)
    return true, make().eval(), true.state_dict()


def square() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))


def oblong() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 6))


def layers() -> nn.Module:
    return nn.ModuleDict({"h": nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])})


def normed(norm: Callable[[nn.Module], nn.Module], inner: Callable[[], nn.Module]) -> Built:
    return pair(lambda: nn.Sequential(inner()), lambda: nn.Sequential(norm(inner())))


def conv() -> nn.Module:
    return nn.Conv2d(4, 6, 3)


def turned_conv() -> nn.Module:
    return nn.ConvTranspose2d(4, 6, 3)


def with_keys(built: Built, change: Callable[[State], State]) -> Built:
    true, fresh, file = built
    return true, fresh, change(file)


def named(old: str, new: str) -> Callable[[State], State]:
    return lambda file: {key.replace(old, new): leaf for key, leaf in file.items()}


def as_flax(file: State) -> State:
    return {
        key.replace("weight", "kernel"): leaf.T.contiguous() if leaf.ndim == 2 else leaf
        for key, leaf in file.items()
    }


def flax_conv(file: State) -> State:
    return {"0.kernel": file["0.weight"].permute(2, 3, 1, 0), "0.bias": file["0.bias"]}


def turned(file: State) -> State:
    return {key: leaf.T.contiguous() if leaf.ndim == 2 else leaf for key, leaf in file.items()}


def shifted(file: State) -> State:
    return {f"h.{int(k[2]) + 1}{k[3:]}": leaf for k, leaf in file.items()}


def twice(file: State) -> State:
    return {f"{tree}.{key}": leaf for tree in ("student", "teacher") for key, leaf in file.items()}


def listed(file: State) -> State:
    return {str(index): leaf for index, leaf in enumerate(file.values())}


def with_unit_axes(file: State) -> State:
    return {k: leaf[..., None, None] if leaf.ndim == 2 else leaf for k, leaf in file.items()}


def raw(file: State) -> State:
    """Return bfloat16 as MLX writes it into an .npy file: two bytes, of which it says no more."""
    dtype = DType("unknown 2-byte", "unknown", 16)
    return {
        key: LazyTensor(Source("w.npy", BytesBacking(data), 0, len(data)), 0, dtype, leaf.shape)
        for key, leaf in file.items()
        for data in [leaf.bfloat16().view(torch.uint8).numpy().tobytes()]
    }


def split_and_joined(in_model: bool) -> Built:
    def split() -> nn.Module:
        return nn.ModuleDict({f"{name}_proj": nn.Linear(4, 4) for name in "qkv"})

    def joined() -> nn.Module:
        return nn.ModuleDict({"in_proj": nn.Linear(4, 12)})

    return pair(split, joined) if in_model else pair(joined, split)


PRM = nn.utils.parametrizations
FIXED: list[tuple[str, str, Callable[[], Built]]] = [
    *(
        ("normed_weights", f"{name} {inner.__name__}", lambda n=norm, i=inner: normed(n, i))
        for name, norm in {
            "weight_norm": PRM.weight_norm,
            "weight_norm by hooks": nn.utils.weight_norm,
            "weight_norm of axis 1": lambda m: PRM.weight_norm(m, dim=1),
            "weight_norm of all": lambda m: PRM.weight_norm(m, dim=None),
            "spectral_norm": PRM.spectral_norm,
            "spectral_norm by hooks": nn.utils.spectral_norm,
        }.items()
        for inner in (conv, turned_conv, lambda: nn.Linear(4, 4))
    ),
    ("flax_kernels", "square", lambda: with_keys(pair(square), as_flax)),
    ("flax_kernels", "oblong", lambda: with_keys(pair(oblong), as_flax)),
    ("flax_kernels", "conv", lambda: with_keys(pair(lambda: nn.Sequential(conv())), flax_conv)),
    ("turned_matrices", "oblong", lambda: with_keys(pair(oblong), turned)),
    ("counted_from_elsewhere", "from 1", lambda: with_keys(pair(layers), shifted)),
    ("without_names", "a list", lambda: with_keys(pair(oblong), listed)),
    ("unit_axes", "1x1 convolutions", lambda: with_keys(pair(oblong), with_unit_axes)),
    ("_renamed", "base_layer", lambda: with_keys(pair(oblong), named(".", ".base_layer."))),
    ("_renamed", "a prefix", lambda: with_keys(pair(layers), named("h.", "model.h."))),
]
UNFIXED: list[tuple[str, str, Callable[[], Built]]] = [
    ("raw_elements", "bfloat16 of MLX", lambda: with_keys(pair(oblong), raw)),
    ("several_trees", "student, teacher", lambda: with_keys(pair(square), twice)),
    ("turned_matrices", "square, too", lambda: with_keys(
        pair(lambda: nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 5))), turned)),
    ("without_names", "equal shapes", lambda: with_keys(pair(square), listed)),
    ("flax_kernels", "as a transposed convolution", lambda: with_keys(
        pair(lambda: nn.Sequential(nn.Conv2d(4, 4, 3))), flax_conv)),
    ("_renamed", "a square matrix of another name",
     lambda: with_keys(pair(square), named("weight", "matrix"))),
    ("joined_projections", "split in the file", lambda: split_and_joined(False)),
    ("joined_projections", "split in the model", lambda: split_and_joined(True)),
    ("_other_names", "nothing in common",
     lambda: with_keys(pair(oblong), lambda file: {"x": torch.zeros(3), "y": torch.zeros(2)})),
]  # fmt: skip
# In test_causes.
ELSEWHERE = {
    "_training",
    "_other_kind",
    "_tied",
    "_other_layout",
    "_vocabulary",
    "_other_sizes",
}  # test_causes


def finder(fresh: nn.Module, file: State, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of the finder that found the cause."""
    seen: list[str] = []

    def watched(find: Any) -> Any:
        return lambda case: (found := find(case)) and (seen.append(find.__name__) or found)

    monkeypatch.setattr(causes, "_FINDERS", tuple(map(watched, causes._FINDERS)))
    plan_load(fresh, file)
    monkeypatch.undo()
    return seen[0]


def paste(fix: str, model: nn.Module, state_dict: State) -> None:
    names = {name: getattr(caten_sd, name) for name in caten_sd.__all__}
    with warnings.catch_warnings():
        warnings.simplefilter("error", caten_sd.LoadWarning)
        exec(fix, {**names, "model": model, "state_dict": state_dict})


def outputs(model: nn.Module) -> list[np.ndarray[Any, Any]]:
    """Return what each layer computes, in order."""
    torch.manual_seed(3)
    layers = [each for each in model.modules() if hasattr(each, "bias")]
    planes = [(each, (1, 4, 5, 5) if hasattr(each, "stride") else (2, each.weight.shape[1]))
              for each in layers]  # fmt: skip
    return [each(torch.randn(shape)).detach().numpy() for each, shape in planes]


@pytest.mark.parametrize(("name", "words", "build"), FIXED, ids=[f"{n}-{w}" for n, w, _ in FIXED])
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_the_fix_gives_the_true_model(
    name: str, words: str, build: Callable[[], Built], monkeypatch: pytest.MonkeyPatch
) -> None:
    true, fresh, file = build()
    assert finder(copy.deepcopy(fresh), file, monkeypatch) == name
    plan = plan_load(fresh, file)
    paste(plan.fix, fresh, file)
    for mine, theirs in zip(outputs(fresh.eval()), outputs(true), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "words", "build"), UNFIXED, ids=[f"{n}-{w}" for n, w, _ in UNFIXED]
)
def test_what_names_and_shapes_cannot_show_gets_no_fix(
    name: str, words: str, build: Callable[[], Built], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, fresh, file = build()
    assert finder(fresh, file, monkeypatch) == name
    plan = plan_load(fresh, file)
    assert plan.cause
    assert plan.fix == ""


def test_every_finder_has_a_case() -> None:
    cases = {name for name, _, _ in (*FIXED, *UNFIXED)} | ELSEWHERE
    assert {find.__name__ for find in causes._FINDERS} == cases


def test_raw_elements_are_named_with_what_reads_them() -> None:
    _, fresh, file = with_keys(pair(oblong), raw)
    plan = plan_load(fresh, file)
    assert "0.weight" in plan.cause
    assert "numpy.load(path).view(ml_dtypes.bfloat16)" in plan.cause


def test_norms_under_a_prefix_are_not_renamed_to_weights() -> None:
    _, fresh, file = normed(PRM.weight_norm, lambda: nn.Linear(4, 4))
    old = {f"model.{key}": leaf for key, leaf in file.items()}
    path = "parametrizations.weight.original"
    hooked = {
        key.replace(f"{path}1", "weight_v").replace(f"{path}0", "weight_g"): leaf
        for key, leaf in old.items()
    }
    for each in (old, hooked):
        fix = plan_load(fresh, each).fix
        assert "weight_v" not in fix
        assert "original1" not in fix


def test_the_text_does_not_depend_on_the_hash_seed() -> None:
    program = (
        "import torch; from torch import nn; from caten_sd import *; "
        "m = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 6)); "
        "f = {f'a.b.{i}.{n}': torch.zeros(5) for i in range(3) for n in ('x', 'y')}; "
        "g = {f'{t}.{k}': v for t in 'stu' for k, v in m.state_dict().items()}; "
        "h = {f'n.{k[2:]}.{k[0]}': v for k, v in m.state_dict().items()}; "
        "[print(plan_load(m, each)) for each in (f, g, h)]"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", program], check=True, capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("0", "1", "2")
    }  # fmt: skip
    assert len(texts) == 1
