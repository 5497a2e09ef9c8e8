"""How alike two names are: the words that both have, or that mean the same in two libraries."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from difflib import SequenceMatcher

LEAST = 0.35  # how alike the words of a guess are
MARGIN = 0.08  # how much less alike those of any other are
_ALIKE = 0.8  # how much of two words is in both where they are alike
MOST = 50_000  # pairs that are compared; more names of one kind are left open
_WORD = re.compile(r"[a-z]+[0-9]*|[0-9]+")
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

# What libraries call one thing, each as a regular expression and the words for it.
_PHRASES: Sequence[tuple[str, str]] = (
    (r"input_layernorm|ln_1|norm_?1|ln_attn|(layer_?)?norm_before", "norm first"),
    (r"(layer_?)?norm_after", "norm second"),
    (r"layer_?norm|rms_?norm|batch_?norm", "norm"),
    (r"post_attention|post_attn|post_self_attn", "second"),
    (r"pre_(feed_?forward|ffn?w?|mlp)", "premlp"),
    (r"post_(feed_?forward|ffn?w?|mlp)", "postmlp"),
    (r"feed_?forward|ffn|ffw", "mlp"),
    (r"intermediate", "up"),
    (r"(?<!attention\.)output\.dense", "down"),
    (r"(encoder|cross|enc_dec)_(decoder_)?(attn|attention)", "cross attention"),
    (r"(self_?)?(attn|attention)[._/](c_)?proj", "attention out"),
    (r"self_?(attn|attention)", "attention"),
    (r"ln_2|norm_?2|ln_mlp", "norm second"),
    (r"ln_3|norm_?3", "norm third"),
    (
        r"(final|last)_norm|norm_(final|last|f)|(?<!_)output_norm|ln_f|ln_out|embedding_norm",
        "norm final",
    ),
    (r"lm_head|embed_out|unembed\w*", "head"),
    (r"qkv|query_key_value|c_attn", "qkv"),
    (r"wte|tok_embeddings|embed_tokens|token_embd|word_embeddings|embed_in", "token embedding"),
    (r"wpe|position_embd|position_embeddings|embed_positions|pos_emb\w*", "position embedding"),
    (r"token_types?|token_type_embeddings", "types embedding"),
    (r"dense_h_to_4h|fc_?in|c_fc|fc_?1|lin1|wi(?!_)", "up"),
    (r"dense_4h_to_h|fc_?out|fc_?2|lin2", "down"),
    (r"fc_?3", "third"),
    (r"wi_0", "gate"),
    (r"wi_1", "up"),
    (r"dense_relu_dense|dense_act_dense", "mlp"),
)
_WORDS: Mapping[str, str] = {
    **dict.fromkeys(("attn", "att", "attention", "selfattention"), "attention"),
    **dict.fromkeys(("ln", "norms"), "norm"),
    **dict.fromkeys(("embed", "embd", "emb", "embeddings"), "embedding"),
    **dict.fromkeys(("q", "query", "wq"), "q"),
    **dict.fromkeys(("k", "key", "wk"), "k"),
    **dict.fromkeys(("v", "value", "wv"), "v"),
    **dict.fromkeys(("o", "out", "output", "wo"), "out"),
    **dict.fromkeys(("gate", "w1"), "gate"),
    **dict.fromkeys(("down", "w2", "4h"), "down"),
    **dict.fromkeys(("up", "w3"), "up"),
    **dict.fromkeys(("kernel", "weight", "gamma", "scale", "w", "g"), "weight"),
    **dict.fromkeys(("bias", "beta", "b"), "bias"),
    **dict.fromkeys(("blocks", "block", "blk", "layers", "layer", "h"), "layer"),
}
# Where a word is said in one library, another may say this one, as it names a norm after what
# follows it.
_NEAR: Mapping[str, str] = {"first": "attention", "second": "mlp", "premlp": "mlp"}
_FILLING = frozenset(
    {"proj", "projection", "layer", "model", "transformer", "c", "module", "linear"}
)


def words(name: str) -> list[str]:
    """Return the words of a name, in order, each as one library of all says it.

    >>> words("model.layers.self_attn.q_proj.weight"), words("blk.attn_q.weight")
    (['attention', 'q', 'weight'], ['attention', 'q', 'weight'])
    """
    text = _HUMPS.sub("_", name).lower()
    for pattern, said in _PHRASES:
        text = re.sub(rf"(?<![a-z])(?:{pattern})(?![a-z0-9])", f" {said} ", text)
    found = (_WORDS.get(word, word) for word in _WORD.findall(text))
    return [word for word in found if word not in _FILLING]


def likeness(
    one: Collection[str], other: Collection[str], apart: Collection[str] = frozenset()
) -> float:
    """Return how alike two collections of words are, from 0 to 1.

    Two words of ``apart`` mean two things, however they are spelled.

    >>> likeness(["q"], ["q"]), likeness(["q"], ["k"])
    (1.0, 0.0)
    """
    a, b = dict.fromkeys(one), dict.fromkeys(other)
    if not a and not b:
        return 0.5
    shared = sum(max((_alike(word, each, apart) for each in b), default=0.0) for word in a)
    shared += sum(max((_alike(word, each, apart) for each in a), default=0.0) for word in b)
    return shared / (len(a) + len(b))


def _alike(one: str, other: str, apart: Collection[str]) -> float:
    if one == other:
        return 1.0
    if _NEAR.get(one) == other or _NEAR.get(other) == one:
        return 0.6
    if one in apart and other in apart:
        return 0.0
    short, long = sorted((one, other), key=len)
    if len(short) >= 3 and long.startswith(short):
        return 0.8
    if len(short) < 5:
        return 0.0
    common = sum(map(other.__contains__, one))  # a bound; the ratio takes 20 times as long
    if 2 * common <= _ALIKE * (len(one) + len(other)):
        return 0.0
    ratio = SequenceMatcher(None, one, other).ratio()
    return ratio if ratio > _ALIKE else 0.0


def guessed(
    a: Sequence[str], b: Sequence[str], more: Mapping[str, Collection[str]] | None = None
) -> list[tuple[str, str, float]]:
    """Return pairs of names that are alike in words, the surest first; the rest is left open.

    ``more`` has words that are known of a name though it does not say them.

    >>> guessed(["h.attn.q", "h.attn.k"], ["blk.attn_k", "blk.attn_q"])
    [('h.attn.q', 'blk.attn_q', 1.0), ('h.attn.k', 'blk.attn_k', 1.0)]
    """
    if len(a) * len(b) > MOST:
        return []
    more = more or {}
    left, right = _telling(
        *({name: [*words(name), *more.get(name, ())] for name in own} for own in (a, b))
    )
    apart = set().union(*left.values()) & set().union(*right.values())
    scores = {
        (one, other): likeness(left[one], right[other], apart) for one in left for other in right
    }
    found: list[tuple[str, str, float]] = []
    while sure := _sure(scores):
        found += [(*pair, scores[pair]) for pair in sure]
        taken_a, taken_b = ({pair[side] for pair in sure} for side in (0, 1))
        scores = {
            pair: score
            for pair, score in scores.items()
            if pair[0] not in taken_a and pair[1] not in taken_b
        }
    if len(scores) == 1 and len(a) == len(b):  # the others of the kind are paired
        found += [(*pair, score) for pair, score in scores.items()]
    return found


def _telling(*sides: Mapping[str, Sequence[str]]) -> list[dict[str, list[str]]]:
    """Return the words of the names of both sides but those that tell none from another one.

    A word that all names of a side have tells none there, unless only some of the other have it.
    """
    every = [set().union(*own.values()) for own in sides]
    common = [set.intersection(*map(set, own.values())) if len(own) > 1 else set() for own in sides]
    idle = [common[n] & (common[1 - n] | (common[n] - every[1 - n])) for n in (0, 1)]
    return [
        {name: [word for word in own if word not in idle[n]] for name, own in sides[n].items()}
        for n in (0, 1)
    ]


def _sure(scores: Mapping[tuple[str, str], float]) -> list[tuple[str, str]]:
    """Return the pairs that are much more alike than any other pair of one of their names."""
    best: dict[tuple[int, str], tuple[float, float]] = {}  # the largest score, and the next one
    for pair, score in scores.items():
        for side, name in enumerate(pair):
            first, second = best.get((side, name), (0.0, 0.0))
            best[side, name] = max(first, score), max(second, min(first, score))
    return [
        pair
        for pair, score in sorted(scores.items(), key=lambda each: -each[1])
        if score >= LEAST
        and all(
            score == best[side, name][0] and score - best[side, name][1] >= MARGIN
            for side, name in enumerate(pair)
        )
    ]
