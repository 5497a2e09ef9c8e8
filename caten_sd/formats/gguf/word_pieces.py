"""The entries of WordPiece, as BERT has it: words are cut into pieces from a list, longest first.

A tokenizer.json marks the pieces within a word, as in "##ing"; a GGUF marks those that begin one,
as sentencepiece does. llama.cpp has the rules of BERT for what a word is, and no others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from caten_sd.errors import StateDictError
from caten_sd.formats.gguf.token_list import CONTROL, NORMAL, UNKNOWN, UNUSED, token_list

KIND = "WordPiece"
_WITHIN, _BEGINS = "##", "\u2581"
_LONGEST = "max_input_chars_per_word"


def word_pieces(tokenizer: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Return the entries; StateDictError for rules that are not those of BERT."""
    mark = tokenizer["model"].get("continuing_subword_prefix", _WITHIN)
    if mark != _WITHIN:
        raise StateDictError(f"it marks pieces within a word with {mark!r:.40}, and not with '##'")
    listed = token_list(tokenizer, count)
    kinds = [CONTROL if kind == UNKNOWN else kind for kind in listed.kinds]
    texts = [_piece(text, kind) for text, kind in zip(listed.texts, kinds, strict=True)]
    if len(set(texts)) < len(texts):
        raise StateDictError("two of its tokens have one text in a GGUF, where ## is left out")
    return {
        "model": "bert",
        "pre": "default",
        "tokens": texts,
        "token_type": kinds,
        **_normalizer(tokenizer),
    }


def _piece(text: str, kind: int) -> str:
    if kind in (CONTROL, UNUSED):
        return text if kind == CONTROL else _BEGINS + text
    within = kind == NORMAL and text.startswith(_WITHIN)
    return text.removeprefix(_WITHIN) if within else _BEGINS + text


def _normalizer(tokenizer: Mapping[str, Any]) -> dict[str, bool]:
    """Return whether letters become small and lose their accents."""
    splits, changes = tokenizer.get("pre_tokenizer") or {}, tokenizer.get("normalizer") or {}
    for step, meant in ((splits, "BertPreTokenizer"), (changes, "BertNormalizer")):
        if step.get("type") != meant:
            raise StateDictError(f"it has {step.get('type')!r:.40} where BERT has {meant!r}")
    for option in ("clean_text", "handle_chinese_chars"):
        if changes.get(option, True) is not True:
            raise StateDictError(f"its {option} is off, and llama.cpp does that always")
    lowers, strips = changes.get("lowercase", True) is True, changes.get("strip_accents")
    return {
        "normalizer.lowercase": lowers,
        "normalizer.strip_accents": lowers if strips is None else strips is True,
    }


def notes_of_words(tokenizer: Mapping[str, Any]) -> Iterator[str]:
    """Yield what llama.cpp does in another way, in words that texts seldom have."""
    longest = tokenizer["model"].get(_LONGEST, 100)
    yield f"tokenizer.json knows no word of more than {longest} characters, and llama.cpp cuts it"
    says = _normalizer(tokenizer)
    if says["normalizer.strip_accents"]:
        yield (
            "tokenizer.json takes accents off letters, and llama.cpp vowels, too, in Hindi, Korean "
            "and such"
        )
    elif says["normalizer.lowercase"]:
        yield "tokenizer.json makes two characters of a small \u0130, and llama.cpp an i"
