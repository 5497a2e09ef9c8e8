"""How the layers of known frameworks lie: rows for each kind, from the parts in layer_kinds.py.

They are data, so that a file of a framework is read where the framework is not installed. Each
function returns the rows of one kind; ``rank`` is that of the kernel.
"""

from __future__ import annotations

from collections.abc import Sequence

from caten_sd.mapping.assembly import Concat, Split
from caten_sd.mapping.layer_operations import (
    FirstSplit,
    Flip,
    GruBiases,
    SumOfBiases,
    WithConstant,
    WithoutZeros,
)
from caten_sd.mapping.operations import Chain, Transpose
from caten_sd.mapping.rearrange import Each, Rearrange
from caten_sd.mapping.rows import Row
from caten_sd.mapping.running_statistics import ZeroDebias

Rows = tuple[Row, ...]

BIASES = ("bias_ih", "bias_hh")
_QKV = ("query", "key", "value")
_BIAS = Row("bias")


def plain(*parts: str, **names: str) -> Rows:
    """Return rows for parts that lie as in torch, under their own names or others.

    >>> [str(row) for row in plain("bias", weight="scale")]
    ['bias <-> bias', 'weight <-> scale']
    """
    return (*map(Row, parts), *(Row(part, name) for part, name in names.items()))


# torch


def torch_recurrent(suffix: str = "") -> Rows:
    """Return the rows of an LSTM or a GRU, of a cell or of the layer with this suffix."""
    parts = ("weight_ih", "weight_hh", *BIASES)
    return tuple(Row(part, f"{part}{suffix}") for part in parts)


def torch_attention() -> Rows:
    """Return the rows of torch's MultiheadAttention, joined or with sizes of their own."""
    joined = Concat((1, 1, 1))
    return (
        Row(tuple(f"{name}.weight" for name in _QKV), "in_proj_weight", joined),
        *(Row(f"{name}.weight", f"{name[0]}_proj_weight") for name in _QKV),
        Row(tuple(f"{name}.bias" for name in _QKV), "in_proj_bias", joined),
        *plain(**{"out.weight": "out_proj.weight", "out.bias": "out_proj.bias"}),
    )


def joined_attention(joined: str, out: str) -> Rows:
    """Return the rows of attention with a dense layer for all of query, key and value."""
    parts = ("weight", "bias")
    return (
        *(
            Row(tuple(f"{name}.{part}" for name in _QKV), f"{joined}.{part}", Concat((1, 1, 1)))
            for part in parts
        ),
        *plain(**{f"out.{part}": f"{out}.{part}" for part in parts}),
    )


STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
BATCH_NORM = plain("weight", "bias", *STATISTICS)

# Flax


def flax_dense() -> Rows:
    """Return the rows of a Dense or Linear."""
    return (Row("weight", "kernel", Transpose()), _BIAS)


def flax_general(inputs: int, outputs: int, sizes: Sequence[int]) -> Rows:
    """Return the rows of a dense layer with several axes of inputs and of outputs."""
    if inputs == outputs == 1:
        return flax_dense()
    names = [f"i{n}" for n in range(inputs)], [f"o{n}" for n in range(outputs)]
    known = dict(zip((*names[0], *names[1]), sizes, strict=True))
    ins, outs = (" ".join(each) for each in names)
    weight = Rearrange(f"({outs}) ({ins}) -> {ins} {outs}", **known)
    bias = Rearrange(f"({outs}) -> {outs}", **{name: known[name] for name in names[1]})
    return Row("weight", "kernel", weight), Row("bias", "bias", bias)


def flax_convolution(rank: int) -> Rows:
    """Return the rows of a convolution: (*spatial, in, out)."""
    return (Row("weight", "kernel", Transpose((*range(2, rank), 1, 0))), _BIAS)


def flax_transposed(rank: int, *, transpose_kernel: bool = False) -> Rows:
    """Return the rows of a transposed convolution: (*spatial, in, out), flipped, or (.., out, in).

    Only with ``transpose_kernel`` does the kernel lie as in torch, the axes' order apart.
    """
    spatial = tuple(range(2, rank))
    if transpose_kernel:
        return (Row("weight", "kernel", Transpose((*spatial, 1, 0))), _BIAS)
    return (Row("weight", "kernel", Chain(Flip(spatial), Transpose((*spatial, 0, 1)))), _BIAS)


def flax_attention(heads: int, key_heads: int = 0) -> Rows:
    """Return the rows of multi-head attention: (in, heads, size), and (heads, size, out)."""
    counts = {"query": heads, "key": key_heads or heads, "value": key_heads or heads}
    rows = []
    for name, count in counts.items():
        kernel = Rearrange("(h d) i -> i h d", h=count)
        rows.append(Row(f"{name}.weight", f"{name}.kernel", kernel))
        rows.append(Row(f"{name}.bias", f"{name}.bias", Rearrange("(h d) -> h d", h=count)))
    out = Row("out.weight", "out.kernel", Rearrange("o (h d) -> h d o", h=heads))
    return (*rows, out, Row("out.bias"))


def flax_gates(forget: str = "if_") -> Rows:
    """Return the rows of an LSTM with a kernel for each gate; a bias is with the hidden state."""
    inputs, hidden = ("ii", forget, "ig", "io"), ("hi", "hf", "hg", "ho")
    kernels = Chain(Split((1, 1, 1, 1)), Each(*[Transpose()] * 4))
    return (
        Row("weight_ih", tuple(f"{name}.kernel" for name in inputs), kernels),
        Row("weight_hh", tuple(f"{name}.kernel" for name in hidden), kernels),
        Row(
            BIASES,
            tuple(f"{name}.bias" for name in hidden),
            Chain(SumOfBiases(), Split((1, 1, 1, 1))),
        ),
    )


def flax_joined_lstm() -> Rows:
    """Return the rows of an LSTM of NNX with a kernel for all gates."""
    return (
        Row("weight_ih", "dense_i.kernel", Transpose()),
        Row("weight_hh", "dense_h.kernel", Transpose()),
        Row(BIASES, "dense_h.bias", SumOfBiases()),
    )


def flax_joined_gru() -> Rows:
    """Return the rows of a GRU of NNX, which has no bias of the hidden state."""
    return (
        Row("weight_ih", "dense_i.kernel", Transpose()),
        Row("weight_hh", "dense_h.kernel", Transpose()),
        Row(BIASES, "dense_i.bias", Chain(GruBiases(), WithoutZeros())),
    )


def flax_gru_gates() -> Rows:
    """Return the rows of a GRU of linen, with a kernel for each gate."""
    kernels = Chain(Split((1, 1, 1)), Each(*[Transpose()] * 3))
    return (
        Row("weight_ih", ("ir.kernel", "iz.kernel", "in.kernel"), kernels),
        Row("weight_hh", ("hr.kernel", "hz.kernel", "hn.kernel"), kernels),
        Row(
            BIASES,
            ("ir.bias", "iz.bias", "in.bias", "hn.bias"),
            Chain(GruBiases(), FirstSplit()),
        ),
    )


FLAX_NORM = plain("bias", weight="scale")
FLAX_BATCH_NORM = plain("bias", weight="scale", running_mean="mean", running_var="var")
FLAX_EMBEDDING = plain(weight="embedding")

# Equinox


def equinox_convolution(rank: int) -> Rows:
    """Return the rows of a convolution, whose bias has an axis of 1 for each spatial one."""
    return (Row("weight"), _column_bias(rank))


def equinox_transposed(rank: int, groups: int = 1) -> Rows:
    """Return the rows of a transposed convolution: (out, in / groups, *spatial), flipped."""
    spatial = " ".join(f"s{n}" for n in range(2, rank))
    swap = Rearrange(f"(g i) o {spatial} -> (g o) i {spatial}", g=groups)
    return (Row("weight", "weight", Chain(swap, Flip(tuple(range(2, rank))))), _column_bias(rank))


def _column_bias(rank: int) -> Row:
    return Row("bias", "bias", Rearrange(f"o -> o{' 1' * (rank - 2)}"))


def equinox_lstm() -> Rows:
    """Return the rows of an LSTM, which has one bias."""
    return (Row("weight_ih"), Row("weight_hh"), Row(BIASES, "bias", SumOfBiases()))


def equinox_gru() -> Rows:
    """Return the rows of a GRU, with the new gate's bias of the hidden state apart."""
    return (Row("weight_ih"), Row("weight_hh"), Row(BIASES, ("bias", "bias_n"), GruBiases()))


def projections(out: str) -> Rows:
    """Return the rows of attention with four dense layers, the last of this name."""
    return plain(
        **{f"{name}.{part}": f"{name}_proj.{part}" for name in _QKV for part in ("weight", "bias")},
        **{f"out.{part}": f"{out}.{part}" for part in ("weight", "bias")},
    )


def equinox_batch_norm(momentum: float | None) -> Rows:
    """Return the rows of a BatchNorm, of which a State has the statistics, in either mode.

    Without the momentum, statistics that need it are refused.
    """
    moments = ("running_mean", "running_var")
    means = tuple(f"batch_state_index.{n}" for n in (0, 1))
    started = "the statistics of a BatchNorm that has seen no batch: ema_first_time_index"
    return (
        *plain("weight", "bias"),
        Row(moments, (*means, "batch_counter"), ZeroDebias(momentum=momentum)),
        Row(
            "running_mean",
            ("ema_state_index.0", "ema_first_time_index"),
            WithConstant(dtype="bool", what=started),
        ),
        Row("running_var", "ema_state_index.1"),
    )


# The names of statistics that Flax's batch_stats and Equinox's State have beside the model.
APART = (
    *("mean", "mean.value", "var", "var.value"),
    *(f"{mode}_state_index.{number}" for mode in ("batch", "ema") for number in (0, 1)),
    "batch_counter",
    "ema_first_time_index",
)

# MLX


def mlx_convolution(rank: int) -> Rows:
    """Return the rows of a convolution: (out, *spatial, in / groups)."""
    return (Row("weight", "weight", Transpose((0, *range(2, rank), 1))), _BIAS)


def mlx_transposed(rank: int) -> Rows:
    """Return the rows of a transposed convolution: (out, *spatial, in)."""
    return (Row("weight", "weight", Transpose((1, *range(2, rank), 0))), _BIAS)


def mlx_lstm() -> Rows:
    """Return the rows of an LSTM, which has one bias."""
    return (
        *plain(weight_ih="Wx", weight_hh="Wh"),
        Row(BIASES, "bias", SumOfBiases()),
    )


def mlx_gru() -> Rows:
    """Return the rows of a GRU, with the new gate's bias of the hidden state apart."""
    return (*plain(weight_ih="Wx", weight_hh="Wh"), Row(BIASES, ("b", "bhn"), GruBiases()))
