"""Models as attrs classes with torch leaves, initialized and named as in Caten."""

from caten_sd.nn.activation import (
    GELU,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
)
from caten_sd.nn.attention import Attention
from caten_sd.nn.conv import Conv1d, Conv2d, Conv3d, ConvND
from caten_sd.nn.embedding import Embedding
from caten_sd.nn.generation import generate
from caten_sd.nn.gpt2 import gpt2_from_config
from caten_sd.nn.linear import Linear
from caten_sd.nn.module import Module
from caten_sd.nn.norm import BatchNorm, LayerNorm, RMSNorm
from caten_sd.nn.sequential import Sequential, defsequence
from caten_sd.nn.transformer import FeedForward, Transformer, TransformerBlock
from caten_sd.objects.call import call
from caten_sd.objects.slots import buffer, slot, slot_kind, slot_metadata, transient

__all__ = [
    "GELU",
    "Attention",
    "BatchNorm",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvND",
    "Embedding",
    "FeedForward",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "Module",
    "RMSNorm",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "Transformer",
    "TransformerBlock",
    "buffer",
    "call",
    "defsequence",
    "generate",
    "gpt2_from_config",
    "slot",
    "slot_kind",
    "slot_metadata",
    "transient",
]
