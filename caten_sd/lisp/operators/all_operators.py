"""All operators by name."""

from __future__ import annotations

from caten_sd.lisp.operators import (
    creation,
    elementwise,
    inspection,
    layers,
    movement,
    reduction,
    views,
)
from caten_sd.lisp.operators.operator import Operator

OPERATORS: dict[str, Operator] = {
    operator.name: operator
    for module in (elementwise, movement, views, reduction, creation, layers, inspection)
    for operator in module.OPERATORS
}
