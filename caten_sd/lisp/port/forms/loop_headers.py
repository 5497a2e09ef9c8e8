"""What a loop goes over, and the variables that it sets."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

import attrs

from caten_sd.lisp.port.python_text.suites import Suite


@attrs.frozen
class LoopHeader:
    """A loop: ``i, x in zip(a, b)``, its variables, and those that it computes from them."""

    text: str
    names: tuple[str, ...] = ()
    computed: tuple[tuple[str, str], ...] = ()  # names and their values

    def is_read(self, text: str) -> bool:
        """Return whether a text reads a variable of the loop."""
        return any(_found(name, text) for name in (*self.names, *dict(self.computed)))

    def keeps_variable(self, text: str) -> bool:
        """Return whether a lambda of a text reads a variable, which would be the last one."""
        if "lambda" not in text:
            return False
        tree = ast.parse(text.replace("\0", ""))
        lambdas = [each for each in ast.walk(tree) if isinstance(each, ast.Lambda)]
        return any(self.is_read(ast.unparse(each)) for each in lambdas)

    def clause(self, *reads: str) -> str:
        """Return the loop of a comprehension; a variable that nothing reads is ``_``.

        >>> LoopHeader("i, x in zip(a, b)", ("i", "x")).clause("Linear(x, 2)")
        'for _, x in zip(a, b)'
        """
        more = ""
        for name, value in reversed(self.computed):
            if any(_found(name, each) for each in (*reads, more)):
                more = f" for {name} in [{value}]{more}"
        return _with_blanks(f"for {self.text}{more}", self.names, reads)

    def write(self, suite: Suite, body: Suite) -> None:
        """Add the loop as a statement."""
        lines = Suite()
        for name, value in self.computed:
            lines.assign(name, value)
        lines.lines += body.lines
        reads = [each.text for each in lines.flat()]
        suite.block(f"{_with_blanks(f'for {self.text}', self.names, reads)}:", lines)


def _with_blanks(text: str, names: Sequence[str], reads: Sequence[str]) -> str:
    for name in names:
        if sum(_found(name, each) for each in (text, *reads)) == 1:
            text = re.sub(_pattern(name), "_", text)
    return text


def _found(name: str, text: str) -> int:
    return len(re.findall(_pattern(name), text))


def _pattern(name: str) -> str:
    return rf"(?<![\w.]){re.escape(name)}\b"
