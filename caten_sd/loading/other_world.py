"""Find that a file is of another framework, whose kernels lie in another way than the model's."""

from __future__ import annotations

from caten_sd.errors import CatenError
from caten_sd.loading.between import between
from caten_sd.loading.misfit import Case, Cause
from caten_sd.loading.named_leaves import NamedLeaves
from caten_sd.loading.rename_trial import names_settle
from caten_sd.mapping.layer_pairs import ThroughParts
from caten_sd.mapping.layout_plan import to_layout
from caten_sd.mapping.operations import Operation
from caten_sd.mapping.rows import Row
from caten_sd.wording import counted

MOST_KEYS = 4  # times as many as the model has slots; more are not those of its layers


def other_world(case: Case) -> Cause | None:
    """Return a cause if every layer of the model is in the file as another framework has it."""
    if case.owner is None or len(case.file) > MOST_KEYS * len(case.slots):
        return None
    try:
        layout = between(case.file, case.owner)
        converted = to_layout(case.file, layout, silent=True)
    except CatenError:
        return None
    rows = [row for row in layout.rows if isinstance(row, Row) and _lies_otherwise(row.operation)]
    if not rows or not names_settle(case, NamedLeaves(converted)):
        return None
    lie = counted(len(rows), "tensor lies", "tensors lie")
    return Cause(
        f"the file is of another framework: {lie} in another way, as {rows[0].canonical_names[0]} "
        f"of the file, which is {rows[0].names[0]} of the model",
        "load_state_dict(model, to_layout(state_dict, between(state_dict, model)))",
    )


def _lies_otherwise(operation: Operation) -> bool:
    """Return whether a tensor is another one, and not only has a count next to it that is not."""
    if not isinstance(operation, ThroughParts):
        return not Row("w", "w", operation).renames_only
    return not all(usual.counted for _, usual in operation.usual) or not operation.usual
