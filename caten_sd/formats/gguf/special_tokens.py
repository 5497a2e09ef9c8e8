"""Which tokens begin, end, separate or pad, and which of them are added to each text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# The word of a configuration, and the key of a GGUF's number of it.
_KEYS = {
    "bos": "bos_token_id",
    "eos": "eos_token_id",
    "unk": "unknown_token_id",
    "sep": "seperator_token_id",  # as the format spells it
    "pad": "padding_token_id",
    "cls": "cls_token_id",
    "mask": "mask_token_id",
}

_ENCODERS = {"bos_token_id": "cls_token_id", "eos_token_id": "seperator_token_id"}
ENDS = ("bos", "eos")


def special_tokens(
    tokenizer: Mapping[str, Any], options: Mapping[str, Any], config: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the entries of special tokens; ``options`` are those of a tokenizer_config.json.

    A config.json has numbers, which count where the options have no word.
    """
    numbers = {**unknown_token(tokenizer), **dict(_numbers(tokenizer))}
    options = {"unk_token": next(iter(unknown_token(tokenizer)), None), **options}
    found: dict[str, Any] = {}
    for word, key in _KEYS.items():
        number = numbers.get(_text(options.get(f"{word}_token")))
        number = config.get(f"{word}_token_id") if number is None else number
        if isinstance(number, int) and not isinstance(number, bool) and number >= 0:
            found[key] = number
    added = _added(tokenizer, options, numbers, found)
    for word, other in _ENCODERS.items():  # whose texts begin and end with other tokens
        if other in found:
            found.setdefault(word, found[other])
    return {**found, **added}


def _numbers(tokenizer: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for each in tokenizer.get("added_tokens") or ():
        yield str(each["content"]), int(each["id"])


def unknown_token(tokenizer: Mapping[str, Any]) -> dict[str, int]:
    """Return the token that stands for what no token has, with its number, if there is one."""
    model = tokenizer["model"]
    vocab, number, word = model["vocab"], model.get("unk_id"), model.get("unk_token")
    if isinstance(vocab, list):
        return {str(vocab[number][0]): number} if isinstance(number, int) else {}
    return {word: vocab[word]} if word in vocab else {}


def _text(token: Any) -> str:
    return str(token.get("content")) if isinstance(token, Mapping) else str(token)


def _added(
    tokenizer: Mapping[str, Any],
    options: Mapping[str, Any],
    numbers: Mapping[str, int],
    found: Mapping[str, int],
) -> dict[str, bool]:
    """Return whether the first token and the last are added to a text.

    What tokenizer.json does counts before the options, which it was made from. Where nothing adds
    them, that is said, since llama.cpp adds the first to some texts of itself.
    """
    around = next(_around(tokenizer.get("post_processor")), None)
    if around is None:
        says = {} if tokenizer.get("post_processor") is not None else options
        return {f"add_{word}_token": says.get(f"add_{word}_token") is True for word in ENDS}
    first, last = (numbers.get(each) for each in around)
    begins = {found.get("bos_token_id"), found.get("cls_token_id")} - {None}
    ends = {found.get("eos_token_id"), found.get("seperator_token_id")} - {None}
    return {"add_bos_token": first in begins, "add_eos_token": last in ends}


def _around(processor: Any) -> Iterator[tuple[str, str]]:
    """Yield what is put before and behind one text, of each processor that puts something there."""
    if not isinstance(processor, Mapping):
        return
    for each in processor.get("processors", ()):
        yield from _around(each)
    kind, template = processor.get("type"), processor.get("single")
    if kind == "TemplateProcessing" and template:
        yield _special(template[0]), _special(template[-1])
    if kind in ("BertProcessing", "RobertaProcessing"):
        yield str(processor["cls"][0]), str(processor["sep"][0])


def _special(part: Any) -> str:
    return str(part.get("SpecialToken", {}).get("id")) if isinstance(part, Mapping) else ""
