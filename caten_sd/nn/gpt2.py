"""Build a Transformer from the config.json of a Hugging Face GPT-2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caten_sd.errors import ModelError
from caten_sd.nn.transformer import Transformer
from caten_sd.wording import a_or_an

SIZES = ("n_embd", "n_head", "n_layer", "vocab_size", "n_positions")
MAX_LAYERS = 10_000

# The options that Transformer computes; a config with another one would give other numbers.
SUPPORTED: dict[str, tuple[Any, ...]] = {
    "model_type": ("gpt2",),
    "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "add_cross_attention": (False,),
}


def gpt2_from_config(config: Mapping[str, Any]) -> Transformer:
    """Return the Transformer that a GPT-2's config.json describes; the names are transformers'.

    ModelError if a size is missing or impossible, or if the config has an option that Transformer
    does not compute. Under ``torch.device("meta")`` the model needs no memory before a load.

    >>> sizes = dict(n_embd=8, n_head=2, n_layer=1, vocab_size=11, n_positions=4)
    >>> gpt2_from_config(sizes).max_seq_len
    4
    """
    if not isinstance(config, Mapping):
        raise ModelError(f"config: it must be a JSON object, not {a_or_an(type(config).__name__)}")
    dim, heads, layers, vocab, positions = _sizes(config)
    eps = config.get("layer_norm_epsilon", 1e-5)
    if isinstance(eps, bool) or not isinstance(eps, (int, float)) or not eps > 0:
        raise ModelError(f"config: layer_norm_epsilon must be a positive number, not {eps!r}")
    try:
        return Transformer(dim, heads, layers, eps, vocab, max_seq_len=positions)
    except (RuntimeError, TypeError, MemoryError) as error:  # torch's text holds its stack
        raise ModelError(
            f"config: a vocabulary of {vocab}, {positions} positions and {layers} layers of width "
            f"{dim} do not fit into memory; check that the config is of this model and not damaged"
        ) from error


def _sizes(config: Mapping[str, Any]) -> list[Any]:
    known = {"n_positions": config.get("n_ctx"), **config}
    missing = [name for name in SIZES if known.get(name) is None]
    if missing:
        raise ModelError(
            f"config: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing; check "
            f"that this is the config.json of a GPT-2"
        )
    layers, inner = config["n_layer"], config.get("n_inner")
    if isinstance(layers, int) and layers > MAX_LAYERS:
        raise ModelError(f"config: n_layer is {layers}, and a GPT-2 has at most {MAX_LAYERS}")
    if inner is not None and inner != 4 * config["n_embd"]:
        raise ModelError(
            f"config: n_inner is {inner!r}, and Transformer supports only 4 times n_embd, "
            f"{4 * config['n_embd']}"
        )
    _check_supported(config)
    return [known[name] for name in SIZES]


def _check_supported(config: Mapping[str, Any]) -> None:
    for name, allowed in SUPPORTED.items():
        if config.get(name, allowed[0]) not in allowed:
            raise ModelError(
                f"config: {name} is {config[name]!r}, and Transformer supports only "
                f"{' or '.join(map(repr, allowed))}"
            )
