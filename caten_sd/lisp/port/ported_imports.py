"""The imports of a module that is written."""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

from caten_sd.lisp.port.ported_classes import PortedClass

_HOMES = {
    "Any": "typing",
    "Callable": "collections.abc",
    "Fraction": "fractions",
    "Tensor": "torch",
    "Parameter": "torch.nn",
    "Size": "torch",
}
_STANDARD = ("collections.abc", "fractions", "itertools", "math", "typing", "warnings")


@attrs.define
class PortedImports:
    """The names that the module imports, by their homes."""

    names: dict[str, set[str]] = attrs.field(factory=dict)

    def use(self, home: str, name: str) -> str:
        """Import a name, or the home itself for an empty name, and return what is written."""
        self.names.setdefault(home, set()).add(name)
        return name or home

    def annotation(self, type_: str, classes: Mapping[str, PortedClass]) -> str:
        """Return a type as an annotation, and import what it names."""
        text = (type_ or "Any").replace("list[]", "list[Any]")
        own = {each.name for each in classes.values()}
        for name in re.findall(r"[A-Za-z_]\w*", text):
            if name in _HOMES:
                self.use(_HOMES[name], name)
            elif name[0].isupper() and name not in own and name != "None":
                self.use("caten_sd.nn", name)
        return "torch.dtype" if text == "dtype" else text

    def lines(self, body: str) -> list[str]:
        """Return the statements for what a body reads, sorted as a formatter sorts them.

        caten_sd is one of several installed packages for the module that is written.
        """
        words = set(re.findall(r"(?<![\w.])[A-Za-z_]\w*", body))
        self.use("fractions", "Fraction")  # that writes each ratio
        self.names = {
            home: kept
            for home, names in self.names.items()
            if (kept := {each for each in names if (each or home) in words})
        }
        groups: list[list[str]] = [["from __future__ import annotations"]]
        for homes in (
            [each for each in self.names if each in _STANDARD],
            [each for each in self.names if each not in _STANDARD],
        ):
            groups.append(self._group(homes))
        return "\n\n".join("\n".join(each) for each in groups if each).split("\n")

    def _group(self, homes: list[str]) -> list[str]:
        plain = sorted(f"import {home}" for home in homes if "" in self.names[home])
        named = []
        for home in sorted(homes):
            names = sorted(self.names[home] - {""}, key=_order)
            if names:
                named.append(f"from {home} import {', '.join(names)}")
        return plain + named


def _order(name: str) -> tuple[int, str]:
    """Return the key by which names are sorted: constants, classes, others."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2), name
