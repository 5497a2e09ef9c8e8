"""Models and ways to write their states, from which the cases of causes are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.utils import parametrizations

from caten_sd.state.backing import BytesBacking
from caten_sd.state.dtype import DType
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.source import Source

State = dict[str, Any]
Make = Callable[[], Any]
Change = Callable[[State], State]
Linear, Dict, Sequential = nn.Linear, nn.ModuleDict, nn.Sequential


class Built(NamedTuple):
    """The true model, a fresh one of other values, and the file that the true one wrote."""

    true: Any
    fresh: Any
    file: State


class Row(NamedTuple):
    """A case: the finder of its cause ("" for none), what it is, and how it is made."""

    finder: str
    words: str
    build: Callable[[], Built]

    @property
    def name(self) -> str:
        """A name for the test."""
        return f"{self.finder}: {self.words}" if self.finder else self.words


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(8)
        self.attn, self.proj, self.mlp = Linear(8, 24), Linear(24, 8), Linear(8, 16)


class Decoder(nn.Module):
    """A language model in which no matrix is square."""

    def __init__(self, layers: int = 3, tokens: int = 50, positions: int = 20, tied: bool = False):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(tokens, 8), nn.Embedding(positions, 8)
        self.h = nn.ModuleList([Block() for _ in range(layers)])
        self.ln_f, self.lm_head = nn.LayerNorm(8), Linear(8, tokens, bias=False)
        if tied:
            self.lm_head.weight = self.wte.weight


class Table(nn.Module):
    """A parameter of any name and shape, and a layer."""

    def __init__(self, name: str, *shape: int) -> None:
        super().__init__()
        self.register_parameter(name, nn.Parameter(torch.zeros(shape)))
        self.fc = Linear(4, 5)


def of(make: Make, written_by: Make | None = None, change: Change = dict) -> Callable[[], Built]:
    """Return a case: the file is the state of the true model, changed."""

    def build() -> Built:
        torch.manual_seed(1)
        true = (written_by or make)().eval()
        randomize(true)
        torch.manual_seed(2)
        fresh = make().eval()
        file = {key: leaf.clone() for key, leaf in true.state_dict().items()}
        return Built(true, fresh, change(file))

    return build


def randomize(model: nn.Module) -> None:
    for parameter in model.parameters():
        parameter.data.normal_()
    for name, buffer in model.named_buffers():
        if buffer.is_floating_point() and "running" in name:
            buffer.uniform_(0.5, 1.5)


def square() -> nn.Module:
    return Sequential(Linear(4, 4), Linear(4, 4))


def oblong() -> nn.Module:
    return Sequential(Linear(4, 5), Linear(5, 6))


def layers() -> nn.Module:
    return Dict({"h": nn.ModuleList([Linear(4, 4) for _ in range(3)])})


def heads(*names: str, out: int = 8, bias: bool = True) -> nn.Module:
    return Dict({name: Linear(8, out, bias=bias) for name in names})


def attention(**more: nn.Module) -> nn.Module:
    return Dict({"attn": nn.MultiheadAttention(8, 2), **more})


def conv() -> nn.Module:
    return nn.Conv2d(4, 6, 3)


def packed() -> nn.Module:
    """Return a layer whose weight is in 4 bits, as compressed-tensors replaces a linear one."""
    layer = nn.Module()
    layer.register_buffer("weight_packed", torch.zeros(4, 2, dtype=torch.int32))
    layer.register_buffer("weight_scale", torch.ones(4, 1))
    layer.register_buffer("weight_shape", torch.tensor([4, 16]))
    layer.register_parameter("bias", nn.Parameter(torch.zeros(4)))
    return layer


def turned_conv() -> nn.Module:
    return nn.ConvTranspose2d(4, 6, 3)


def under(norm: Callable[[nn.Module], nn.Module], inner: Make) -> Make:
    return lambda: Sequential(norm(inner()))


def pruned() -> nn.Module:
    from torch.nn.utils import prune

    return Sequential(prune.l1_unstructured(Linear(4, 5), "weight", 0.5))


def chained(*changes: Change) -> Change:
    def change(file: State) -> State:
        for each in changes:
            file = each(file)
        return file

    return change


def named(*pairs: str) -> Change:
    """Replace the first text by the second, the third by the fourth and so on."""

    def change(file: State) -> State:
        for old, new in zip(pairs[::2], pairs[1::2], strict=True):
            file = {key.replace(old, new): leaf for key, leaf in file.items()}
        return file

    return change


def below(*prefixes: str) -> Change:
    """Return the state under each prefix; each further tree has other values."""
    return lambda file: {
        prefix + key: leaf if at == 0 or not leaf.is_floating_point() else leaf + at
        for at, prefix in enumerate(prefixes)
        for key, leaf in file.items()
    }


def without(*words: str) -> Change:
    return lambda file: {k: leaf for k, leaf in file.items() if not any(w in k for w in words)}


def plus(**more: Any) -> Change:
    """Add leaves; ``__`` stands for a dot."""
    return lambda file: {**file, **{key.replace("__", "."): leaf for key, leaf in more.items()}}


def mapped(of_leaf: Callable[[torch.Tensor], torch.Tensor], rank: int, words: str = "") -> Change:
    """Change the leaves of one rank whose keys have the words."""
    return lambda file: {
        key: of_leaf(leaf).contiguous() if leaf.ndim == rank and words in key else leaf
        for key, leaf in file.items()
    }


def turned(file: State) -> State:
    return mapped(torch.t, 2)(file)


def as_flax(file: State) -> State:
    kernels = chained(turned, mapped(lambda leaf: leaf.permute(2, 3, 1, 0), 4))(file)
    return {k.replace("weight", "kernel") if leaf.ndim > 1 else k: leaf for k, leaf in
            kernels.items()}  # fmt: skip


def shifted(by: int) -> Change:
    def key_of(key: str) -> str:
        start, index, *rest = key.split(".")
        return ".".join([start, str(int(index) + by), *rest]) if start == "h" else key

    return lambda file: {key_of(key): leaf for key, leaf in file.items()}


def numbered_layers() -> nn.Module:
    """Return a model that has the numbers of its layers in their names, from 1."""
    return Dict({f"layer{at}": Linear(4, 4) for at in (1, 2, 3)})


def renumbered(start: str, first: int) -> Change:
    """Name ``layer1`` as ``start`` and the first number, and so on."""

    def change(file: State) -> State:
        rest = {key: key.removeprefix("layer") for key in file}
        return {f"{start}{int(rest[k][0]) - 1 + first}{rest[k][1:]}": file[k] for k in file}

    return change


def listed(file: State) -> State:
    return {str(index): leaf for index, leaf in enumerate(file.values())}


def padded(file: State) -> State:
    """Add rows of zeros to the embedding and the head, up to a multiple of 64."""
    rows = torch.zeros(14, 8)
    return {k: torch.cat([leaf, rows]) if len(leaf) == 50 else leaf for k, leaf in file.items()}


def joined(parts: str, whole: str, *last: str) -> Change:
    """Concatenate leaves: {} of ``parts`` is q, k or v, and each ``last`` ends the keys."""

    def change(file: State) -> State:
        file = dict(file)
        for end in last:
            file[whole + end] = torch.cat([file.pop(parts.format(each) + end) for each in "qkv"])
        return file

    return change


def split(whole: str, parts: str, *last: str) -> Change:
    """Take leaves apart: the inverse of ``joined``."""

    def change(file: State) -> State:
        file = dict(file)
        for end in last:
            for each, leaf in zip("qkv", file.pop(whole + end).chunk(3), strict=True):
                file[parts.format(each) + end] = leaf.clone()
        return file

    return change


def raw(file: State) -> State:
    """Return bfloat16 as MLX writes it into an .npy file: two bytes, of which it says no more."""
    dtype = DType("unknown 2-byte", "unknown", 16)
    return {
        key: LazyTensor(Source("w.npy", BytesBacking(data), 0, len(data)), 0, dtype, leaf.shape)
        for key, leaf in file.items()
        for data in [leaf.bfloat16().view(torch.uint8).numpy().tobytes()]
    }


def moments(file: Mapping[str, Any]) -> State:
    """Return what an optimizer's file has for these tensors."""
    return {f"state.{at}.{name}": leaf for at, leaf in enumerate(file.values())
            for name in ("exp_avg", "exp_avg_sq")}  # fmt: skip


def normal(last: Callable[[], nn.Module] = lambda: nn.BatchNorm2d(6)) -> nn.Module:
    return Sequential(conv(), last())


def flax_names() -> nn.Module:
    return Dict({"fc": Linear(4, 5), "ln": nn.LayerNorm(5), "emb": nn.Embedding(7, 4)})


def convolution_and_norm() -> nn.Module:
    return Dict({"c": nn.Conv2d(3, 5, 3), "bn": nn.BatchNorm2d(5)})


NORMS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "weight_norm": parametrizations.weight_norm,
    "weight_norm by hooks": nn.utils.weight_norm,
    "weight_norm of axis 1": lambda module: parametrizations.weight_norm(module, dim=1),
    "weight_norm of all": lambda module: parametrizations.weight_norm(module, dim=None),
    "spectral_norm": parametrizations.spectral_norm,
    "spectral_norm by hooks": nn.utils.spectral_norm,
}
