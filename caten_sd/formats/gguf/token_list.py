"""The tokens of a tokenizer.json as a GGUF has them: texts, kinds, scores and merges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from caten_sd.errors import StateDictError
from caten_sd.formats.gguf.special_tokens import unknown_token

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
_SPACE = "\u2581"  # which sentencepiece has for a space
_UNRANKED = -10000.0  # the score of a piece that no merge makes
_MOST = 1 << 24  # tokens; the largest known vocabularies have a fiftieth of it


class TokenList(NamedTuple):
    """The text and the kind of each token, by its number."""

    texts: list[str]
    kinds: list[int]


def token_list(tokenizer: Mapping[str, Any], count: int) -> TokenList:
    """Return ``count`` tokens; those that the tokenizer does not have are unused.

    StateDictError if these are too many, if the tokenizer has more, or if its numbers are not
    those of tokens.
    """
    if count > _MOST:
        raise StateDictError(f"the model has {count:,} tokens, and at most {_MOST:,} are written")
    numbered = {number: text for text, number in vocabulary(tokenizer).items()}
    added = {each["id"]: each for each in tokenizer.get("added_tokens") or ()}
    every = [*numbered, *added]
    if not all(isinstance(number, int) and 0 <= number < count for number in every):
        raise StateDictError(f"it has tokens beyond the {count:,} of the model")
    unknown = next(iter(unknown_token(tokenizer)), None)
    texts, kinds = [], []
    for number in range(count):
        text, kind = _token(number, numbered.get(number), added.get(number), unknown)
        texts.append(text)
        kinds.append(kind)
    return TokenList(texts, kinds)


def vocabulary(tokenizer: Mapping[str, Any]) -> dict[str, int]:
    """Return the numbers of the tokens, without the added ones."""
    vocab = tokenizer["model"]["vocab"]
    if isinstance(vocab, list):
        return {text: number for number, (text, _) in enumerate(vocab)}
    return dict(vocab)


def _token(
    number: int, text: str | None, added: Mapping[str, Any] | None, unknown: str | None
) -> tuple[str, int]:
    """Return the text and the kind of a token."""
    if added is not None:
        word = str(added["content"])
        if word == unknown:
            return word, UNKNOWN
        return (
            (word, CONTROL) if added.get("special") else (word.replace(_SPACE, " "), USER_DEFINED)
        )
    if text is None:
        return f"[PAD{number}]", UNUSED
    return text, UNKNOWN if text == unknown else NORMAL


def with_bytes(tokens: TokenList) -> TokenList:
    """Return the tokens of sentencepiece, of which ``<0x0A>`` is a byte."""
    kinds = [
        BYTE if kind == NORMAL and _is_byte(text) else kind
        for text, kind in zip(tokens.texts, tokens.kinds, strict=True)
    ]
    return TokenList(tokens.texts, kinds)


def _is_byte(text: str) -> bool:
    return len(text) == 6 and text.startswith("<0x") and text.endswith(">")


def merges(tokenizer: Mapping[str, Any]) -> list[str]:
    """Return the merges as texts, in which a space within a part is the sign for it."""
    return [each if isinstance(each, str) else _pair(each) for each in tokenizer["model"]["merges"]]


def _pair(parts: list[str]) -> str:
    return " ".join(part.replace(" ", chr(ord(" ") + 256)) for part in parts)


def scores_of_merges(tokenizer: Mapping[str, Any], tokens: TokenList) -> list[float]:
    """Return scores with which sentencepiece joins pieces in the order of the merges.

    StateDictError if merges with the same result do not follow one another: no scores have
    their order.
    """
    ranks: dict[str, int] = {}
    last = ""
    for each in tokenizer["model"]["merges"]:
        whole = "".join(each.split(" ", 1) if isinstance(each, str) else each)
        if whole in ranks and whole != last:
            raise StateDictError(f"its merges make {whole!r:.40} at two ranks, which no score has")
        ranks.setdefault(whole, len(ranks))
        last = whole
    return [float(-ranks[text]) if text in ranks else _UNRANKED for text in tokens.texts]


def scores_of_pieces(tokenizer: Mapping[str, Any], tokens: TokenList) -> list[float]:
    """Return the scores of a unigram model, of which added tokens have none."""
    scores = {text: float(score) for text, score in tokenizer["model"]["vocab"]}
    return [scores.get(text, 0.0) for text in tokens.texts]
