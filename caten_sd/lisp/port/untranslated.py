"""What is not translated: the comment at its place, and the sentence for the screen."""

from __future__ import annotations

import textwrap

import attrs

from caten_sd.errors import LispError
from caten_sd.errors.printable import one_line
from caten_sd.lisp.port.python_text.expressions import text_literal
from caten_sd.lisp.port.python_text.line_breaks import WIDTH
from caten_sd.lisp.port.python_text.suites import Suite
from caten_sd.lisp.syntax.datum import SourcePlace

_INDENT = 12  # the deepest place of such a comment: in an if in a method


@attrs.define(eq=False)
class Untranslated:
    """Remembers what of a file is not translated; ``file`` is its name without the folder."""

    source: str
    file: str
    problems: list[str] = attrs.field(factory=list)

    def say(self, suite: Suite, error: LispError) -> None:
        """Remember an error, and write it as a comment."""
        if str(error) not in self.problems:
            self.problems.append(str(error))
        sentence = one_line(str(error).replace(self.source, self.file), 400)
        for line in textwrap.wrap(f"Not translated: {sentence}", WIDTH - _INDENT - 2):
            suite.add(f"# {line}")

    def refusal(self, place: SourcePlace, remedy: str = "") -> str:
        """Return the statement that raises an error where the form of a place would have run."""
        return f"raise NotImplementedError({self.sentence(place, after=remedy)})"

    def sentence(self, place: SourcePlace, before: str = "", after: str = "") -> str:
        """Return a literal that says that the form of a place is not translated."""
        return text_literal(f"{before}{self.file}:{place.line} is not translated{after}")


def as_sentence(place: SourcePlace, error: LispError | RecursionError) -> LispError:
    """Return the error for forms that lie too deep in each other, or the error as it is."""
    if isinstance(error, LispError):
        return error
    return LispError(
        place,
        "its forms lie too deep in each other to be translated to Python",
        "divide it by functions",
    )
