"""The tokenizer of a GGUF, from the tokenizer.json next to a model, where that says it exactly.

llama.cpp has its own code for each kind of tokenizer. A tokenizer.json of another kind, or one
that does something to a text for which llama.cpp has no name, is left out, and the reason is said.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from caten_sd.errors import FormatError, StateDictError
from caten_sd.formats.gguf.pre_tokenizers import pre_tokenizer_name
from caten_sd.formats.gguf.special_tokens import special_tokens
from caten_sd.formats.gguf.token_list import (
    TokenList,
    merges,
    scores_of_merges,
    scores_of_pieces,
    token_list,
    with_bytes,
)
from caten_sd.formats.gguf.word_pieces import KIND as WORD_PIECE
from caten_sd.formats.gguf.word_pieces import notes_of_words, word_pieces
from caten_sd.state.json_text import parse_json

FILE, OPTIONS, TEMPLATE = "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"
PREFIX = "tokenizer.ggml."
_MOST = 128 << 20  # bytes of a file
_SPACE = "\u2581"


class TokenizerEntries(NamedTuple):
    """The entries of metadata, and what there is to say of them."""

    entries: dict[str, Any]
    notes: tuple[str, ...] = ()


def tokenizer_entries(folder: Path, config: Mapping[str, Any], count: int) -> TokenizerEntries:
    """Return what the files in a folder say of the tokenizer of a model with ``count`` tokens."""
    try:
        tokenizer = _parsed(folder / FILE)
        if tokenizer is None:
            return TokenizerEntries({}, (_without(f"the source has no {FILE}"),))
        options = _parsed(folder / OPTIONS) or {}
        kind = _kind(tokenizer, options, count)
        special = special_tokens(tokenizer, options, config)
        entries = {PREFIX + key: value for key, value in {**kind, **special}.items()}
        entries.update(_template(folder, options))
        _check_texts(entries)
    except (StateDictError, FormatError, OSError) as error:
        return TokenizerEntries({}, (_without(f"{FILE}: {error}"),))
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError):
        return TokenizerEntries({}, (_without(f"{FILE} is not as its library writes it"),))
    return TokenizerEntries(entries, tuple(_notes(tokenizer)))


def _check_texts(entries: Mapping[str, Any]) -> None:
    """Raise UnicodeEncodeError if a text is not UTF-8, which JSON may hold and a GGUF may not."""
    for value in entries.values():
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str):
                text.encode()


def _without(reason: str) -> str:
    return (
        f"the GGUF has no tokenizer, since {reason}; a program that makes text needs one: take the "
        f"entries that begin with tokenizer. from another GGUF of the model"
    )


def _parsed(path: Path) -> Any:
    if not path.is_file():
        return None
    if path.stat().st_size > _MOST:
        raise StateDictError(f"it has more than {_MOST >> 20} MB")
    found = parse_json(str(path), path.read_bytes())
    if not isinstance(found, Mapping):
        raise StateDictError(f"{path.name} is not a JSON object")
    return found


def _kind(tokenizer: Mapping[str, Any], options: Mapping[str, Any], count: int) -> dict[str, Any]:
    model = tokenizer["model"]
    kind = model.get("type", "BPE")
    if kind == "BPE" and model.get("byte_fallback"):
        return _sentencepiece(tokenizer, count)
    if kind == "BPE":
        return _byte_level(tokenizer, options, count)
    if kind == "Unigram":
        return _unigram(tokenizer, count)
    if kind == WORD_PIECE:
        return word_pieces(tokenizer, count)
    raise StateDictError(f"it is of the kind {kind!r:.40}, which is not written yet")


def _byte_level(
    tokenizer: Mapping[str, Any], options: Mapping[str, Any], count: int
) -> dict[str, Any]:
    """Return the entries of a byte-level BPE, as GPT-2, Llama 3 and Qwen have it."""
    cleans = bool(options.get("clean_up_tokenization_spaces", True))
    name = pre_tokenizer_name(tokenizer, cleans=cleans)
    if name is None:
        raise StateDictError("it splits text by rules for which no name of llama.cpp is known")
    if any(each not in ("NFC",) for each in _types(tokenizer.get("normalizer"), "normalizers")):
        raise StateDictError("it changes text before it splits it, and llama.cpp would not")
    tokens = token_list(tokenizer, count)
    return {"model": "gpt2", "pre": name, **_listed(tokens), "merges": merges(tokenizer)}


def _sentencepiece(tokenizer: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Return the entries of a BPE of sentencepiece, as Llama 2, Mistral and Gemma have it."""
    tokens = with_bytes(token_list(tokenizer, count))
    scores = scores_of_merges(tokenizer, tokens)
    prefix = _puts_space(tokenizer)
    listed = _listed(tokens)
    return {"model": "llama", "pre": "default", **listed, "scores": scores, **prefix}


def _unigram(tokenizer: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Return the entries of a unigram model of sentencepiece, as T5 and XLM-RoBERTa have it."""
    tokens = token_list(tokenizer, count)
    scores = scores_of_pieces(tokenizer, tokens)
    maps = [
        list(base64.b64decode(each["precompiled_charsmap"]))
        for each in _each(tokenizer.get("normalizer"), "normalizers")
        if each.get("type") == "Precompiled"
    ]
    charsmap = {"precompiled_charsmap": maps[0]} if maps else {}
    changes = set(_types(tokenizer.get("normalizer"), "normalizers")) & {"Strip", "Replace"}
    if len(changes) == 1:
        raise StateDictError(f"it has a step {changes.pop()!r} alone, which llama.cpp has not")
    return {
        "model": "t5",
        "pre": "default",
        **_listed(tokens),
        "scores": scores,
        **_puts_space(tokenizer),
        "remove_extra_whitespaces": bool(changes),
        **charsmap,
    }


def _listed(tokens: TokenList) -> dict[str, Any]:
    return {"tokens": tokens.texts, "token_type": tokens.kinds}


def _puts_space(tokenizer: Mapping[str, Any]) -> dict[str, bool]:
    """Return whether a text gets a space at its start; StateDictError for any other change."""
    normalizers = list(_each(tokenizer.get("normalizer"), "normalizers"))
    splits = list(_each(tokenizer.get("pre_tokenizer"), "pretokenizers"))
    known = {"Prepend", "Replace", "Precompiled", "Strip", "Metaspace", "WhitespaceSplit"}
    others = [each["type"] for each in (*normalizers, *splits) if each["type"] not in known]
    if others:
        raise StateDictError(f"it has a step {others[0]!r:.40}, which llama.cpp has not")
    prepends = any(each["type"] == "Prepend" for each in normalizers)
    schemes = [each for each in splits if each["type"] == "Metaspace"]
    spaced = any(_scheme(each) != "never" for each in schemes)
    return {"add_space_prefix": prepends or spaced}


def _scheme(metaspace: Mapping[str, Any]) -> str:
    old = "always" if metaspace.get("add_prefix_space", True) else "never"
    return str(metaspace.get("prepend_scheme", old))


def _each(step: Any, inner: str) -> Iterator[Mapping[str, Any]]:
    """Yield the steps of a sequence one after the other."""
    if not isinstance(step, Mapping):
        return
    if step.get("type") != "Sequence":
        yield step
        return
    for each in step[inner]:
        yield from _each(each, inner)


def _types(step: Any, inner: str) -> list[str]:
    return [str(each["type"]) for each in _each(step, inner)]


def _template(folder: Path, options: Mapping[str, Any]) -> dict[str, str]:
    """Return the template of a conversation, which is in a file of its own in newer folders."""
    path = folder / TEMPLATE
    if path.is_file() and path.stat().st_size < _MOST:
        return {"tokenizer.chat_template": path.read_text(encoding="utf-8", errors="replace")}
    template = options.get("chat_template")
    return {"tokenizer.chat_template": template} if isinstance(template, str) else {}


def _notes(tokenizer: Mapping[str, Any]) -> Iterator[str]:
    if tokenizer["model"].get("type") == WORD_PIECE:
        yield from notes_of_words(tokenizer)
    steps = _types(tokenizer.get("normalizer"), "normalizers")
    if "Strip" in steps:
        yield f"{FILE} strips line ends from the end of a text, where llama.cpp strips spaces only"
    if "NFC" in steps:
        yield f"{FILE} brings text to NFC first, which llama.cpp does not do"
