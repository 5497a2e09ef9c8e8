"""Names of a file as literals, for a line of Python or of a shell that is pasted.

A literal of one language does nothing in the other, so a message may give both.
"""

from __future__ import annotations

import re
import shlex

from caten_sd.errors.printable import escaped

LONGEST = 400  # characters of a literal in a message; a longer one would be cut
_PLAIN = re.compile(r"[A-Za-z0-9_.:/{}*+ -]*")
_NO_WORD = re.compile("[\0\ud800-\udc7f\udd00-\udfff]")  # no argument of a command can hold these


def python_literal(text: str) -> str:
    r"""Return the text as a Python string, in characters that print.

    >>> print(python_literal("h.{i}"), python_literal("it's\n"))
    "h.{i}" 'it\x27s\n'
    """
    if _PLAIN.fullmatch(text):
        return f'"{text}"'
    # A shell would end the string at a \'.
    return "'" + escaped(text.replace("\\", "\\\\").replace("'", r"\x27")) + "'"


def shell_word(text: str) -> str:
    r"""Return the text as one word of a shell, in characters that print.

    >>> print(shell_word("a.pt"), shell_word("$(x)"), shell_word("it's\n"))
    a.pt '$(x)' $'it\047s\012'
    """
    if text.isprintable() and "'" not in text:
        return shlex.quote(text)
    return "$'" + "".join(map(_in_dollar_quotes, text)) + "'"


def is_shell_word(text: str) -> bool:
    """Return whether a command can have the text as an argument."""
    return not _NO_WORD.search(text)


def shell_option(name: str, value: str) -> str:
    """Return an option of a command with its value, which may begin with a hyphen.

    >>> shell_option("--root", "model"), shell_option("--root", "-x")
    ('--root model', '--root=-x')
    """
    return f"{name}{'=' if value.startswith('-') else ' '}{shell_word(value)}"


def shell_path(path: str) -> str:
    """Return a path as a word that a command does not take for an option.

    >>> shell_path("-w.pt")
    './-w.pt'
    """
    return shell_word(f"./{path}" if path.startswith("-") else path)


def root_choice(root: str) -> str:
    """Return how Python and the command line choose the tree at a root.

    >>> root_choice("ema.shadow")
    'root="ema.shadow" or --root ema.shadow'
    """
    choices = [f"root={python_literal(root)}"]
    choices += [shell_option("--root", root)] if is_shell_word(root) else []
    if max(map(len, choices)) > LONGEST:
        return "root= or --root with its whole name"
    return " or ".join(choices)


def path_choice(path: str) -> str:
    """Return a path as a message names it for both languages: quoted if it is not plain.

    >>> path_choice("a.tar::w.pt"), path_choice("a.tar::$(x)")
    ('a.tar::w.pt', "'a.tar::$(x)'")
    """
    bare = shell_path(path)
    if len(bare) > LONGEST or not is_shell_word(path):
        return "the archive::member"
    return bare


def _in_dollar_quotes(char: str) -> str:
    # Octal has three digits in every shell; one that does not know $'' sees plain quotes.
    if char == "\\":
        return r"\\"
    if char != "'" and char.isprintable():
        return char
    return "".join(f"\\{byte:03o}" for byte in char.encode("utf-8", "surrogateescape"))
