"""Move a tensor to another device or floating dtype; it stays the same object if it can."""

from __future__ import annotations

import attrs
import torch

from caten_sd.errors import ModelError
from caten_sd.objects.slots import SlotKind


@attrs.frozen
class DeviceMove:
    """Where tensors go; None leaves the device or the dtype as it is."""

    device: torch.device | None
    dtype: torch.dtype | None

    @classmethod
    def to(cls, *where: torch.device | torch.dtype | str | int) -> DeviceMove:
        """Parse the arguments of ``.to(...)``: a device, a floating dtype, or both in any order."""
        dtypes = [each for each in where if isinstance(each, torch.dtype)]
        devices = [torch.device(each) for each in where if not isinstance(each, torch.dtype)]
        if not where or len(dtypes) > 1 or len(devices) > 1:
            raise ModelError(f"to() takes one device, one dtype, or one of each, not {where}")
        if dtypes and not dtypes[0].is_floating_point:
            raise ModelError(f"to() takes a floating dtype, and {dtypes[0]} is not one")
        return cls(devices[0] if devices else None, dtypes[0] if dtypes else None)

    def __call__(self, leaf: torch.Tensor, kind: SlotKind) -> torch.Tensor:
        """Move a leaf and its gradient; an optimizer that holds the leaf keeps it."""
        moved = self._moved(leaf)
        if moved is leaf:
            return leaf
        gradient = leaf.grad if leaf.is_leaf or leaf.retains_grad else None
        leaf.grad = None
        try:
            leaf.data = moved
        except RuntimeError:  # torch cannot keep the object, as from cpu to meta
            leaf = _like(leaf, moved)
        leaf.grad = None if gradient is None else self._moved(gradient)
        return leaf

    def _moved(self, leaf: torch.Tensor) -> torch.Tensor:
        if leaf.is_meta and self.device is not None and self.device.type != "meta":
            raise ModelError(
                f"a tensor of shape {tuple(leaf.shape)} on the meta device has no data to move; "
                f"load the weights with load_state_dict(..., assign=True) first"
            )
        dtype = self.dtype if leaf.is_floating_point() else None
        return leaf.detach().to(device=self.device, dtype=dtype) if self._moves(leaf) else leaf

    def _moves(self, leaf: torch.Tensor) -> bool:
        recast = self.dtype is not None and leaf.is_floating_point() and leaf.dtype != self.dtype
        return recast or (self.device is not None and leaf.device != self.device)


def _like(leaf: torch.Tensor, moved: torch.Tensor) -> torch.Tensor:
    if isinstance(leaf, torch.nn.Parameter):
        return torch.nn.Parameter(moved, requires_grad=leaf.requires_grad)
    return moved.requires_grad_(leaf.requires_grad)
