"""Lines of Python in blocks, in which assignments that nothing reads are left out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import attrs

from caten_sd.lisp.port.python_text.line_breaks import broken

INDENT = 4


@attrs.frozen
class Line:
    """A line; ``names`` are the variables that it only sets, and ``source`` their value."""

    text: str
    names: tuple[str, ...] = ()
    source: str = ""
    keeps: bool = False  # its value has an effect, so that it is evaluated in any case

    @property
    def targets(self) -> tuple[str, ...]:
        """The variables and other places that it sets."""
        set_ = re.match(r"([\w.]+)\S* [-+]?= ", self.text)
        return self.names or ((set_[1],) if set_ else ())


@attrs.define
class Suite:
    """Lines and blocks in order."""

    lines: list[Line | Suite] = attrs.field(factory=list)

    def add(self, text: str) -> None:
        """Add a line."""
        self.lines.append(Line(text))

    def assign(self, name: str, value: str, annotation: str = "", *, keeps: bool = False) -> None:
        """Add an assignment to a variable."""
        target = f"{name}: {annotation}" if annotation else name
        self.lines.append(Line(f"{target} = {value}", (name,), value, keeps))

    def unpack(self, names: Sequence[str], source: str) -> None:
        """Add an assignment to several variables, of which only those are kept that are read."""
        text = f"{', '.join(names)}{',' * (len(names) == 1)} = {source}"
        self.lines.append(Line(text, tuple(names), source))

    def block(self, header: str, body: Suite) -> None:
        """Add a block under a header."""
        if not body.lines:
            body.add("pass")
        self.lines += [Line(header), body]

    @property
    def ends(self) -> bool:
        """Whether nothing after its last line is reached."""
        last = self.lines[-1] if self.lines else None
        return isinstance(last, Line) and last.text.startswith(("return ", "raise ", "return\n"))

    def texts(self) -> list[str]:
        """Return the lines, indented and broken."""
        return list(self._rendered(0))

    def prune(self) -> None:
        """Leave out what the body of a function sets and does not read."""
        while self._prune(self.flat()):
            pass

    def flat(self) -> list[Line]:
        """Return all lines, those of blocks too."""
        found: list[Line] = []
        for each in self.lines:
            found += [each] if isinstance(each, Line) else each.flat()
        return found

    def _prune(self, every: list[Line]) -> bool:
        """Leave out what is set and not read; return whether something was."""
        for at, line in enumerate(self.lines):
            if isinstance(line, Suite):
                if line._prune(every):
                    return True
                if not line.lines:
                    self._empty(at)
                    return True
            elif line.names and (kept := _kept(line, every)) != [line]:
                self.lines[at : at + 1] = kept
                return True
        return False

    def _empty(self, at: int) -> None:
        """Leave out a block that has no line left, or let it pass."""
        header = self.lines[at - 1]
        following = self.lines[at + 1 : at + 2]
        assert isinstance(header, Line)
        if header.text == "else:" or (
            header.text.startswith("if ") and Line("else:") not in following
        ):
            del self.lines[at - 1 : at + 1]
        else:
            self.lines[at] = Suite([Line("pass")])

    def _rendered(self, indent: int) -> Iterator[str]:
        for each in self.lines:
            if isinstance(each, Suite):
                yield from each._rendered(indent + INDENT)
            else:
                for line in each.text.split("\n"):
                    yield from broken(f"{' ' * indent}{line}".rstrip())


def is_read(name: str, text: str) -> bool:
    """Return whether an expression reads a variable."""
    return re.search(rf"(?<![\w.]){re.escape(name)}\b", text) is not None


def _kept(line: Line, every: list[Line]) -> list[Line]:
    """Return what is left of a line: itself if all that it sets is read."""
    others = [each for each in every if each is not line]
    read = [name for name in line.names if _is_read(name, others)]
    if len(read) == len(line.names):
        return [line]
    if len(line.names) == 1:
        return [Line(line.source)] if line.keeps else []
    if len(read) > 1:
        names = [name if name in read else "_" for name in line.names]
        return [line] if "_" in line.names else [_unpacked(names, line.source)]
    return [Line(f"{name} = {_item(line, name)}", (name,), _item(line, name)) for name in read]


def _unpacked(names: list[str], source: str) -> Line:
    return Line(f"{', '.join(names)} = {source}", (), source)


def _item(line: Line, name: str) -> str:
    return f"{line.source}[{line.names.index(name)}]"


def _is_read(name: str, lines: list[Line]) -> bool:
    lines = [each for each in lines if not each.text.startswith(("#", '"""'))]
    pattern = re.compile(rf"(?<![\w.]){re.escape(name)}\b(?!\s*=[^=])")
    return any(pattern.search(_without_target(line)) for line in lines)


def _without_target(line: Line) -> str:
    return line.source if line.names else line.text
