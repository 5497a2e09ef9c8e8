"""TrainingState: a model and all that its training needs to go on, as one state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs

from caten_sd.errors import StateDictError
from caten_sd.loading.owners import OwnerHooks, hooks_of
from caten_sd.loading.report import LoadPlan
from caten_sd.objects.extract import children, to_state_dict
from caten_sd.state.keys import Pair, Path
from caten_sd.state.training_keys import COMPONENTS
from caten_sd.training.components import component_of


@attrs.define(eq=False)
class TrainingState:
    """A model with its optimizer, scheduler, gradient scaler, step and random state.

    Only the model is required. ``get_state_dict`` gives ``model.<key>``,
    ``optimizer.state.<parameter>.<slot>`` and so on, for a file of any format. ``load_state_dict``
    loads by name, everything or nothing; an interrupted load may leave some of it new and some
    old, also with ``assign``, and is to be repeated.

    ``scheduler``, ``scaler`` and ``rng`` can be any object with ``state_dict()`` and
    ``load_state_dict(state)``. For ``rng``, give a ``ProcessRandomness`` or a torch.Generator.
    Every component can also be an object with slots, as a model is: an optimizer of NNX, MLX or
    tinygrad, the state of optax, a random key of JAX. What cannot be changed is replaced in the
    training, as is a model that cannot, unless a component is of another kind: take it from
    ``training.model``.

    >>> import torch
    >>> model = torch.nn.Linear(2, 1)
    >>> training = TrainingState(model, torch.optim.SGD(model.parameters(), lr=0.1), step=3)
    >>> [path for path, _ in to_state_dict(training, [])][2:]
    [['optimizer', 'values'], ['step']]
    """

    model: Any
    optimizer: Any = None
    scheduler: Any = None
    scaler: Any = None
    step: int = attrs.field(default=0, kw_only=True)
    rng: Any = attrs.field(default=None, kw_only=True)

    def components(self) -> Iterator[tuple[str, Any]]:
        """Yield the name and the value of each component that is not None."""
        for name in COMPONENTS:
            if (component := getattr(self, name)) is not None:
                yield name, component


@to_state_dict.register(TrainingState)
def _pairs(training: TrainingState, parent: Path, /) -> list[Pair]:
    import numpy as np

    if not isinstance(training.step, int):
        raise StateDictError(
            f"the step of a training state must be an int and is {training.step!r}; give int(step)"
        )
    pairs = children(training, parent, [("model", training.model)])
    for name, component in training.components():
        pairs += component_of(component).pairs([*parent, name], training.model)
    return [*pairs, ([*parent, "step"], np.asarray(training.step, np.int64))]


class _TrainingHooks(OwnerHooks):
    """A training plans its own load, since its components are not filled slot by slot."""

    def plan(
        self,
        state_dict: Mapping[str, Any],
        options: Mapping[str, Any],
        by_slot: Callable[..., LoadPlan],
    ) -> LoadPlan:
        from caten_sd.training.training_plan import plan_training

        return plan_training(self.owner, state_dict, options, by_slot)


@hooks_of.register(TrainingState)
def _training_hooks(training: TrainingState, /) -> OwnerHooks:
    return _TrainingHooks(training)
