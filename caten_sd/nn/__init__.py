"""Models as attrs classes with torch leaves, initialized and named as in Caten."""

from caten_sd.nn.activations.gates import GELU, HardSwish, Mish, SiLU
from caten_sd.nn.activations.rectifiers import (
    CELU,
    ELU,
    SELU,
    LeakyReLU,
    ReLU,
    ReLU6,
    Softplus,
    SoftShrink,
)
from caten_sd.nn.activations.softmax import LogSoftmax, Softmax, Softmin
from caten_sd.nn.activations.squashing import (
    HardSigmoid,
    HardTanh,
    LogSigmoid,
    Sigmoid,
    Softsign,
    Tanh,
)
from caten_sd.nn.attention import Attention
from caten_sd.nn.cache_cut import cut_caches
from caten_sd.nn.conv import Conv1d, Conv2d, Conv3d, ConvND
from caten_sd.nn.embedding import Embedding
from caten_sd.nn.generation import generate
from caten_sd.nn.gpt2 import gpt2_from_config
from caten_sd.nn.linear import Linear
from caten_sd.nn.module import Module
from caten_sd.nn.norm import BatchNorm, LayerNorm, RMSNorm
from caten_sd.nn.padding import pad, pad_2d
from caten_sd.nn.pool import AvgPool, MaxPool
from caten_sd.nn.rotary import RoPE
from caten_sd.nn.sequential import Sequential, defsequence
from caten_sd.nn.transformer import FeedForward, Transformer, TransformerBlock
from caten_sd.nn.windows import unfold
from caten_sd.objects.call import call
from caten_sd.objects.slots import buffer, slot, slot_kind, slot_metadata, transient

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "SELU",
    "Attention",
    "AvgPool",
    "BatchNorm",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvND",
    "Embedding",
    "FeedForward",
    "HardSigmoid",
    "HardSwish",
    "HardTanh",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSigmoid",
    "LogSoftmax",
    "MaxPool",
    "Mish",
    "Module",
    "RMSNorm",
    "ReLU",
    "ReLU6",
    "RoPE",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SoftShrink",
    "Softmax",
    "Softmin",
    "Softplus",
    "Softsign",
    "Tanh",
    "Transformer",
    "TransformerBlock",
    "buffer",
    "call",
    "cut_caches",
    "defsequence",
    "generate",
    "gpt2_from_config",
    "pad",
    "pad_2d",
    "slot",
    "slot_kind",
    "slot_metadata",
    "transient",
    "unfold",
]
