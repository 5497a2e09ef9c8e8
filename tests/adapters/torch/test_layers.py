"""Every layer that ``torch.nn`` has, found by inspection: a new one needs an entry here."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import nn

from .agreement import assert_agrees

# Arguments by a layer's name or its beginning; the other layers have none.
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "Adaptive": (2,),
    "AdaptiveLogSoftmaxWithLoss": (8, 10, [4]),
    "AvgPool": (2,),
    "BatchNorm": (4,),
    "Bilinear": (2, 3, 4),
    "ChannelShuffle": (2,),
    "CircularPad": (1,),
    "ConstantPad": (1, 0.0),
    "Conv": (4, 4, 3),
    "CrossMapLRN2d": (2,),
    "Embedding": (6, 4),
    "Fold": (4, 2),
    "FractionalMaxPool": (2, 4),
    "GRU": (3, 4),
    "GroupNorm": (2, 4),
    "InstanceNorm": (4, 1e-5, 0.1, True, True),
    "LPPool": (2, 2),
    "LSTM": (3, 4, 2),
    "LayerNorm": (4,),
    "LazyConv": (4, 3),
    "LazyLinear": (4,),
    "Linear": (3, 4),
    "LocalResponseNorm": (2,),
    "MaxPool": (2,),
    "MaxUnpool": (2,),
    "MultiheadAttention": (8, 2),
    "Pixel": (2,),
    "RMSNorm": (4,),
    "RNN": (3, 4),
    "RNNBase": ("LSTM", 3, 4),
    "RNNCellBase": (3, 4, True, 4),
    "ReflectionPad": (1,),
    "ReplicationPad": (1,),
    "SyncBatchNorm": (4,),
    "Threshold": (1.0, 2.0),
    "Transformer": (8, 2, 1, 1, 16),
    "TransformerDecoder": (nn.TransformerDecoderLayer(8, 2, 16), 2),
    "TransformerDecoderLayer": (8, 2, 16),
    "TransformerEncoder": (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2),
    "TransformerEncoderLayer": (8, 2, 16),
    "Unflatten": (1, (2, 2)),
    "Unfold": (2,),
    "ZeroPad": (1,),
}
# A wrapper, whose segment our keys leave out on purpose, as other tests check.
WRAPPERS = {"DataParallel"}
LAYERS = sorted(
    name
    for name, layer in vars(nn).items()
    if isinstance(layer, type) and issubclass(layer, nn.Module) and name not in WRAPPERS
)


def build(name: str) -> nn.Module:
    matches = [prefix for prefix in ARGUMENTS if name.startswith(prefix)]
    exact = [prefix for prefix in matches if prefix == name]
    arguments = ARGUMENTS[(exact or [max(matches, key=len)])[0]] if matches else ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layer = getattr(nn, name)(*arguments)
    assert isinstance(layer, nn.Module)
    return layer


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_agrees_with_torch(name: str) -> None:
    assert_agrees(build(name))


def test_all_layers_in_one_model_agree_with_torch() -> None:
    model = nn.ModuleDict({name: build(name) for name in LAYERS})
    assert len(model.state_dict()) > 150
    assert_agrees(model)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_the_containers_of_parameters_agree_with_torch(device: str) -> None:
    def parameter() -> nn.Parameter:
        return nn.Parameter(torch.zeros(2, device=device))

    shared = parameter()
    assert_agrees(
        nn.ModuleList(
            [
                nn.ParameterList([parameter(), shared, nn.ParameterList([parameter()])]),
                nn.ParameterDict({"a-b": parameter(), "c": shared}),
                nn.ModuleDict({"in-proj": nn.Linear(1, 1), "none": nn.Identity()}),
            ]
        )
    )
