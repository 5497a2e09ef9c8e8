"""Two live models on the same input, and the first layer where they part."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from caten_sd.errors import ModelError
from caten_sd.mapping.layout import Layout
from caten_sd.proof.live_layers import LayerPair, LiveModel, SameWeights, layer_pairs, same_weights
from caten_sd.proof.made_inputs import MadeInput, made_inputs
from caten_sd.proof.model_runs import OUTPUT, Inputs
from caten_sd.proof.parting import (
    Evidence,
    LayerGap,
    cause_of,
    evidence,
    first_parting,
    place,
)
from caten_sd.proof.side_by_side import KEPT, SideBySide
from caten_sd.state.leaf import spec_or_none
from caten_sd.state.options import checked_options
from caten_sd.state.sheet import HasSheet, Sheet
from caten_sd.state.sheet_groups import SheetGroup, SheetRow
from caten_sd.wording import counted


@attrs.frozen(repr=False)
class Verification(HasSheet):
    """What two models did on one input.

    ``compared`` has the inputs and outputs of the layers that both have, in the order of A.
    ``parting`` is the place of the first of them that differs, or None. ``weights`` are those of
    the layer it belongs to, each with how it differs or "", and ``settings`` what else differs.
    """

    inputs: str
    found_by: str
    compared: Sequence[LayerGap]
    parting: int | None
    weights: Mapping[str, str]
    settings: Sequence[str]

    @property
    def agrees(self) -> bool:
        """Whether the models give the same, but for rounding."""
        return self.parting is None

    @property
    def layer(self) -> str | None:
        """The path in A of the first layer that takes or gives something else, or None."""
        return None if self.parting is None else self.compared[self.parting].a

    @property
    def verdict(self) -> str:
        """Whether the models agree, or where they part, and by how much."""
        layers = counted(len({each.a for each in self.compared}), "layer")
        if self.parting is None:
            largest = max((each.relative for each in self.compared), default=0.0)
            return f"the models agree in {layers}: the largest relative difference is {largest:.2g}"
        each = self.compared[self.parting]
        far = f"a relative {each.relative:.2g}"
        if each.largest is not None:
            far = f"{each.largest:.2g} (relative {each.relative:.2g})"
        return f"the models part {place(self.compared, self.parting)}, by {far}"

    def sheet(self) -> Sheet:
        """Return the sheet: the layers around the first difference, and the weights there."""
        notes = [f"run on {self.inputs}; layers are paired by {self.found_by}", *self._projected()]
        weights = [SheetRow(key, said or "the same") for key, said in self.weights.items()]
        groups = [
            SheetGroup("layers, in the order of A", list(self._rows())),
            SheetGroup("weights there", weights),
            SheetGroup("settings there", [SheetRow(each) for each in self.settings]),
        ]
        return Sheet(
            "verification",
            self.verdict,
            notes,
            [group for group in groups if group.rows],
            "" if self.parting is None else cause_of(self.settings, self.weights),
            data={"agrees": self.agrees, "layer": self.layer, "inputs": self.inputs},
        )

    def _projected(self) -> Iterator[str]:
        """Yield a note on what is known by projections, if anything is."""
        if count := sum(each.largest is None for each in self.compared):
            yield (
                f"{counted(count, 'input or output is', 'inputs and outputs are')} compared within "
                f"a tenth, by projections: all of them take more than {KEPT >> 20} MiB"
            )

    def _rows(self) -> Iterator[SheetRow]:
        """Yield a row for each layer; those far from the first difference are quiet."""
        layers: dict[str, list[LayerGap]] = {}
        for each in self.compared:
            layers.setdefault(each.a, []).append(each)
        at = list(layers).index(self.layer or "")
        for number, (path, moments) in enumerate(layers.items()):
            worst = {each.moment: each for each in sorted(moments, key=lambda m: m.relative)}
            said = [f"{moment} {_apart(each)}" for moment, each in sorted(worst.items())]
            yield SheetRow(
                path or "the model",
                ", ".join(said),
                quiet=not (at - 4 <= number <= at or not number),
                data=functools.partial(_data, worst),
            )


def _apart(each: LayerGap) -> str:
    return f"off by {each.relative:.2g}" if each.relative else "the same"


def _data(worst: Mapping[str, LayerGap]) -> dict[str, Any]:
    relative = {moment: each.relative for moment, each in worst.items()}
    largest = {f"largest_{moment}": each.largest for moment, each in worst.items()}
    return {"b": next(iter(worst.values())).b, **relative, **largest}


@checked_options()
def verify(
    model_a: Any,
    model_b: Any,
    inputs: Any = None,
    *,
    layout: str | Layout | None = None,
    tolerance: float | None = None,
    seed: int = 0,
) -> Verification:
    """Run two live models on the same input, and return the first layer where they part.

    ``inputs`` is an array, several in a list or tuple by position, or a mapping by name. Without
    it, both get integers if they begin with an embedding, else normal values, from ``seed``.
    Layers are paired by their weights: by the same names, by the known layouts of the two, or by
    ``layout``, that of B with the names of A as the canonical ones. ``tolerance`` is the relative
    difference that counts as rounding. The models are run as for inference, and left as they were.
    Where the layers of A give more than 256 MiB, projections of the rest are kept, and the models
    are run again for the place where these part.

    >>> from caten_sd import nn
    >>> model = nn.Transformer(8, 2, 1, 1e-5, 16)
    >>> verify(model, model).agrees
    True
    """
    if seed < 0:
        raise ModelError(f"seed= or --seed is {seed}, which is negative; pass one of at least 0")
    if tolerance is not None and not tolerance >= 0:
        raise ModelError(
            f"tolerance= or --tolerance is {tolerance}, which no difference is within; pass one of "
            f"at least 0"
        )
    a, b = LiveModel("A", model_a), LiveModel("B", model_b)
    weights = same_weights(a, b, layout)
    pairs = layer_pairs(a, b, weights)
    made, found = _runs(a, b, pairs, weights, inputs, seed, tolerance)
    if not found:
        raise ModelError(
            "A and B gave no tensors of the same sizes, so nothing can be compared; pass what both "
            "take as inputs= or --inputs FILE.npz, or the layout of B as layout= or --layout"
        )
    parting = first_parting(found, tolerance)
    shown = Evidence((), {}) if parting is None else _evidence(a, b, pairs, weights, found, parting)
    return Verification(made, weights.found_by, found, parting, shown.weights, shown.settings)


def _runs(
    a: LiveModel,
    b: LiveModel,
    pairs: Sequence[LayerPair],
    weights: SameWeights,
    inputs: Any,
    seed: int,
    tolerance: float | None,
) -> tuple[str, list[LayerGap]]:
    """Return what is said of the inputs, and what both models did with them."""
    given = [_given(inputs)] if inputs is not None else made_inputs(a, b, seed)
    failure: ModelError | None = None
    for each, said in given:
        try:
            given_inputs = each if inputs is not None else [each]
            return said, SideBySide(a, b, pairs, weights, given_inputs).compared(tolerance)
        except ModelError as error:  # which another shape may mend
            failure = failure or error
    assert failure is not None
    raise failure


def _given(inputs: Any) -> tuple[Inputs, str]:
    if isinstance(inputs, MadeInput):
        return [inputs.array], inputs.said
    if spec_or_none(inputs) is not None:
        inputs = [inputs]
    if isinstance(inputs, Mapping):
        return inputs, f"the given {', '.join(map(str, inputs))}"
    return list(inputs), f"{counted(len(inputs), 'given input')}"


def _evidence(
    a: LiveModel,
    b: LiveModel,
    pairs: Sequence[LayerPair],
    weights: SameWeights,
    found: Sequence[LayerGap],
    parting: int,
) -> Evidence:
    """Return what differs in the layer where the models part, or in the one around the place."""
    each = found[parting]
    known = {pair.a: pair for pair in pairs}
    pair = known[each.a]
    if each.moment == OUTPUT or not parting:
        return evidence(pair, a, b, weights, below=True)
    around = _around(pair.a, found[parting - 1].a, known)
    shown = evidence(known[around], a, b, weights, below=True)
    inner = [
        evidence(other, a, b, weights, below=False)
        for other in pairs
        if not other.outputs and other.a.startswith(f"{around}." if around else "")
    ]
    differing = {key: said for each in inner for key, said in each.weights.items() if said}
    return Evidence(shown.settings, {**shown.weights, **differing})


def _around(one: str, other: str, known: Mapping[str, LayerPair]) -> str:
    """Return the innermost layer that holds both."""
    path = one
    while path and not (path in known and f"{other}.".startswith(f"{path}.")):
        path = path.rpartition(".")[0]
    return path
