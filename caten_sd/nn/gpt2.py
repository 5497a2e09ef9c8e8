"""A Transformer of the sizes that a Hugging Face GPT-2's config.json gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caten_sd.errors import ModelError
from caten_sd.nn.transformer import Transformer

SIZES = ("n_embd", "n_head", "n_layer", "vocab_size", "n_positions")
MOST_LAYERS = 10_000

# What Transformer computes; a config that asks for anything else has other numbers.
COMPUTED: dict[str, tuple[Any, ...]] = {
    "model_type": ("gpt2",),
    "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "add_cross_attention": (False,),
}


def gpt2_from_config(config: Mapping[str, Any]) -> Transformer:
    """Return the Transformer that a GPT-2's config.json describes; its keys are transformers'.

    ModelError if a size is missing or impossible, or if the config asks for what a Transformer does
    not compute. Under ``torch.device("meta")`` it takes no memory until weights are loaded.

    >>> sizes = dict(n_embd=8, n_head=2, n_layer=1, vocab_size=11, n_positions=4)
    >>> gpt2_from_config(sizes).max_seq_len
    4
    """
    if not isinstance(config, Mapping):
        raise ModelError(f"a config is an object with names, not a {type(config).__name__}")
    dim, heads, layers, vocab, positions = _sizes(config)
    eps = config.get("layer_norm_epsilon", 1e-5)
    if isinstance(eps, bool) or not isinstance(eps, (int, float)) or not eps > 0:
        raise ModelError(f"config: layer_norm_epsilon must be a positive number, not {eps!r}")
    try:
        return Transformer(dim, heads, layers, eps, vocab, max_seq_len=positions)
    except (RuntimeError, TypeError, MemoryError) as error:  # torch's, with its stack in the text
        raise ModelError(
            f"config: no memory holds a vocabulary of {vocab}, {positions} positions and "
            f"{layers} layers of width {dim}; the config is damaged or of another model"
        ) from error


def _sizes(config: Mapping[str, Any]) -> list[Any]:
    known = {"n_positions": config.get("n_ctx"), **config}
    missing = [name for name in SIZES if known.get(name) is None]
    if missing:
        raise ModelError(f"config: {', '.join(missing)} missing; is this a GPT-2's config.json?")
    layers, inner = config["n_layer"], config.get("n_inner")
    if isinstance(layers, int) and layers > MOST_LAYERS:
        raise ModelError(f"config: n_layer is {layers}, and no GPT-2 has over {MOST_LAYERS}")
    if inner is not None and inner != 4 * config["n_embd"]:
        raise ModelError(f"config: n_inner is {inner!r}; a Transformer's is 4 times n_embd")
    for name, allowed in COMPUTED.items():
        if config.get(name, allowed[0]) not in allowed:
            raise ModelError(
                f"config: {name} is {config[name]!r}, and a Transformer computes "
                f"{' or '.join(map(repr, allowed))}"
            )
    return [known[name] for name in SIZES]
