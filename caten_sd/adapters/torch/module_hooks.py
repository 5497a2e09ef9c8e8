"""What a ``torch.nn.Module`` does around a load: hooks, overrides, extra and synthesized state."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from torch import nn

from caten_sd.adapters.torch.buffers import rebuilt
from caten_sd.adapters.torch.load_hooks import adapt, may_adapt, run_post_hooks
from caten_sd.adapters.torch.module_slots import EXTRA_STATE
from caten_sd.adapters.torch.modules import DeclaredModule
from caten_sd.adapters.torch.standard_layers import layers_of_module
from caten_sd.adapters.torch.synthesized_state import (
    SynthesizedState,
    may_synthesize,
    synthesized_state,
)
from caten_sd.loading.owners import OwnerHooks, hooks_of
from caten_sd.mapping.layer_kinds import StandardLayer
from caten_sd.objects.watching import Watch


class ModuleHooks(OwnerHooks):
    """What torch's own ``load_state_dict`` would let a module do."""

    @property
    def adapts(self) -> bool:  # type: ignore[override]
        """Whether the module has hooks, or code of its own, that may rewrite a state dict."""
        return may_adapt(self.owner)

    @property
    def synthesizes(self) -> bool:  # type: ignore[override]
        """Whether state_dict() may hold tensors that the module does not store."""
        return may_synthesize(self.owner)

    @property
    def nested(self) -> Collection[str]:  # type: ignore[override]
        """The extra state, if the module has any."""
        extra = type(self.owner).get_extra_state is not nn.Module.get_extra_state
        return (EXTRA_STATE,) if extra else ()

    def layers(self) -> Sequence[StandardLayer]:
        """Return what the module is as a layer: what its class says, or torch's own classes."""
        return super().layers() or layers_of_module(self.owner)

    def adapt(self, *, prefix: str, leaves: dict[str, Any], source: Any) -> None:
        """Run the hooks that rewrite a state dict, and an overridden ``_load_from_state_dict``."""
        adapt(self.owner, prefix, leaves, getattr(source, "_metadata", None))

    def rebuild(self, *, root: Any, names: list[str]) -> dict[str, Any]:
        """Let the module's own initializer compute its buffers."""
        return rebuilt(self.owner, root, names)

    def synthesized(
        self, *, leaves: Mapping[str, Any], owners: Iterable[Any]
    ) -> SynthesizedState | None:
        """Return the slot of the tensors that no module stores."""
        return synthesized_state(self.owner, leaves, owners)

    def saved(self, name: str) -> Any:
        """Return a copy of the extra state, since the next set may change it in place."""
        return deepcopy(self.owner.get_extra_state())

    def after_load(self, *, missing: list[str], unexpected: list[str]) -> None:
        """Run the hooks that torch runs after a load."""
        run_post_hooks(self.owner, missing, unexpected)

    @contextmanager
    def watched(self, watch: Watch) -> Iterator[None]:
        """Tell the watch of each call, by torch's own hooks or by the generic function ``call``."""
        before = self.owner.register_forward_pre_hook(
            lambda module, inputs, options: watch.enter((inputs, options)), with_kwargs=True
        )
        after = self.owner.register_forward_hook(lambda module, inputs, output: watch.leave(output))
        try:
            with super().watched(watch):
                yield
        finally:
            before.remove()
            after.remove()


@hooks_of.register((nn.Module, DeclaredModule))
def _module_hooks(module: nn.Module, /) -> OwnerHooks:
    return ModuleHooks(module)
