"""A setter or a validator that looks at values refuses a load, and every slot is as it was."""

from __future__ import annotations

import dataclasses
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from torch import nn

from caten_sd.errors import LoadError
from caten_sd.loading.load import load_state_dict, plan_load
from caten_sd.objects.extract import get_state_dict
from caten_sd.objects.owner import put_back

NAMES = "abcde"


def refuse_negative(value: Any, name: str) -> None:
    if hasattr(value, "shape") and (np.asarray(value.data) < 0).any():
        raise ValueError(f"{name} is negative")


def validate(instance: Any, attribute: Any, value: Any) -> None:
    refuse_negative(value, attribute.name)


@attrs.define
class Validated:
    a: Any = attrs.field(validator=validate)
    b: Any = attrs.field(validator=validate)
    c: Any = attrs.field(validator=validate)
    d: Any = attrs.field(validator=validate)
    e: Any = attrs.field(validator=validate)


@attrs.define
class Converted:
    """The slots keep the absolute values, in new arrays."""

    a: Any = attrs.field(converter=np.abs)
    b: Any = attrs.field(converter=np.abs)
    c: Any = attrs.field(converter=np.abs)
    d: Any = attrs.field(converter=np.abs)
    e: Any = attrs.field(converter=np.abs)


@dataclasses.dataclass
class Plain:
    a: Any
    b: Any
    c: Any
    d: Any
    e: Any


class RefusesFirst(Plain):
    def __setattr__(self, name: str, value: Any) -> None:
        refuse_negative(value, name)
        object.__setattr__(self, name, value)


class RefusesLate(Plain):
    """The value is in the slot before it is refused."""

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        refuse_negative(value, name)


class RefusesZeros(Plain):
    """The old values, which were zeros from the start, are refused, too."""

    def __init__(self, *leaves: Any) -> None:
        self.__dict__.update(zip(NAMES, leaves, strict=True))

    def __setattr__(self, name: str, value: Any) -> None:
        refuse_negative(value - 1, name)
        object.__setattr__(self, name, value)


class Clips(Plain):
    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, np.clip(value, 0, None))


class Mapped(dict):  # type: ignore[type-arg]
    def __setitem__(self, name: str, value: Any) -> None:
        refuse_negative(value, name)
        super().__setitem__(name, value)


class Module(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        for name in NAMES:
            self.register_parameter(name, nn.Parameter(torch.zeros(2)))

    def __setattr__(self, name: str, value: Any) -> None:
        refuse_negative(value, name)
        super().__setattr__(name, value)

    def register_parameter(self, name: str, param: Any) -> None:
        refuse_negative(param, name)
        super().register_parameter(name, param)


def zeros() -> list[Any]:
    return [np.zeros(2) for _ in NAMES]


MAKERS = {
    "attrs validators": lambda: Validated(*zeros()),
    "attrs converters": lambda: Converted(*zeros()),
    "a setter that refuses": lambda: RefusesFirst(*zeros()),
    "a setter that refuses late": lambda: RefusesLate(*zeros()),
    "a setter that refuses the old values": lambda: RefusesZeros(*zeros()),
    "a setter that keeps others": lambda: Clips(*zeros()),
    "a mapping": lambda: Mapped(zip(NAMES, zeros(), strict=True)),
    "a module": Module,
}


@pytest.mark.parametrize("options", [{"assign": True}, {"dtype": "float16"}], ids=str)
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_the_third_of_five_slots_refuses_and_all_are_as_they_were(
    make: Any, options: dict[str, Any]
) -> None:
    obj = make()
    before = get_state_dict(obj)
    file = {name: torch.full((2,), -3.0 if name == "c" else 2.0) for name in NAMES}
    plan = plan_load(obj, file if isinstance(obj, nn.Module) else {
        name: leaf.numpy() for name, leaf in file.items()}, **options)  # fmt: skip
    with pytest.raises(LoadError, match="nothing was changed"):
        plan.apply()
    now = get_state_dict(obj)
    assert all(now[name] is before[name] for name in NAMES)
    assert not any(leaf.any() for leaf in now.values())


def test_what_cannot_be_put_back_is_named() -> None:
    class Property:
        """What was given once is never taken again."""

        def __init__(self) -> None:
            self.given: list[Any] = [np.zeros(2)]

        @property
        def leaf(self) -> Any:
            return self.given[-1]

        @leaf.setter
        def leaf(self, value: Any) -> None:
            if any(value is each for each in self.given):
                raise ValueError("given before")
            self.given.append(value)

    obj = Property()
    old = obj.leaf
    obj.leaf = np.ones(2)
    assert not put_back(obj, "leaf", old)
    obj.given.append(old)
    assert put_back(obj, "leaf", old)


def test_values_that_are_taken_are_loaded() -> None:
    for make in MAKERS.values():
        obj = make()
        file = {name: torch.full((2,), 2.0) for name in NAMES}
        load_state_dict(obj, file, strict=True)
        assert all((leaf == 2).all() for leaf in get_state_dict(obj).values())
