"""The names that llama.cpp has for the rules by which byte-level BPE splits a text into words.

A name stands for rules in llama.cpp's source (llama-vocab.cpp), which has the regular expressions
of the tokenizer.json that it was written for. A tokenizer with the same rules may have the name;
for other rules there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_ENDINGS = "'s|'t|'re|'ve|'m|'ll|'d"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_CASES = r"[^\r\n\p{L}\p{N}]?"
_SLASHES = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_TITLES, _CAPITALS = f"{_CASES}{_UPPER}*{_LOWER}+", f"{_CASES}{_UPPER}+{_LOWER}*"
_SIGNS = r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"""

_LLAMA3 = rf"(?i:{_ENDINGS})|{_WORDS}|\p{{N}}{{1,3}}{_REST}"
_DEEPSEEK3 = (
    r"\p{N}{1,3}",
    "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
    _SIGNS
    + r"|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
)

# The name by the expressions of the splits, for tokenizers that skip merges for whole words and for
# those that do not.
_NAMES = {
    ((_LLAMA3,), True): "llama-bpe",
    ((_LLAMA3,), False): "dbrx",
    ((rf"(?i:{_ENDINGS})|{_WORDS}|\p{{N}}{_REST}",), False): "qwen2",
    (
        (
            rf"(?i:{_ENDINGS})|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}"
            r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ),
        False,
    ): "qwen35",
    ((rf"{_TITLES}|{_CAPITALS}|\p{{N}}{_SLASHES}",), True): "tekken",
    (
        (rf"{_TITLES}(?i:{_ENDINGS})?|{_CAPITALS}(?i:{_ENDINGS})?|\p{{N}}{{1,3}}{_SLASHES}",),
        False,
    ): "gpt-4o",
    (_DEEPSEEK3, False): "deepseek-v3",
}


def pre_tokenizer_name(tokenizer: Mapping[str, Any], *, cleans: bool) -> str | None:
    """Return llama.cpp's name of a byte-level tokenizer's rules, or None if it has none.

    ``cleans`` says whether decoded text is cleaned of spaces before punctuation.
    """
    steps = list(_steps(tokenizer.get("pre_tokenizer")))
    skips = bool(tokenizer.get("model", {}).get("ignore_merges"))
    *splits, last = steps or [{}]
    if last.get("type") != "ByteLevel" or last.get("add_prefix_space"):
        return None
    if last.get("use_regex", True):
        return _of_gpt2(splits, cleans=cleans) if not skips else None
    isolated = all(each.get("type") == "Split" and _is_isolated(each) for each in splits)
    patterns = tuple(_regex(each) for each in splits) if isolated else ()
    return _NAMES.get((patterns, skips))


def _steps(rule: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the rules one after the other, of sequences of them too."""
    if not isinstance(rule, Mapping):
        return
    if rule.get("type") != "Sequence":
        yield rule
        return
    for each in rule.get("pretokenizers", ()):
        yield from _steps(each)


def _of_gpt2(splits: list[Mapping[str, Any]], *, cleans: bool) -> str | None:
    """Return the name where GPT-2's expression splits, alone or with each digit apart."""
    if not splits:
        return "gpt-2"
    alone = len(splits) == 1 and splits[0].get("type") == "Digits"
    if not alone or not splits[0].get("individual_digits"):
        return None
    return "starcoder" if cleans else "smollm"


def _is_isolated(split: Mapping[str, Any]) -> bool:
    return split.get("behavior") == "Isolated" and not split.get("invert")


def _regex(split: Mapping[str, Any]) -> str:
    """Return the expression of a split, with line ends as escapes."""
    pattern = split.get("pattern")
    text = pattern.get("Regex") if isinstance(pattern, Mapping) else None
    return str(text).replace("\r", r"\r").replace("\n", r"\n")
