import numpy as np
import torch

from caten_sd.state.same_place import same_place


def test_names_of_a_tied_parameter_are_one_leaf() -> None:
    class Tied(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = torch.nn.Linear(3, 3, bias=False)
            self.b = torch.nn.Linear(3, 3, bias=False)
            self.b.weight = self.a.weight

    state = Tied().state_dict()
    assert state["a.weight"] is not state["b.weight"]
    assert same_place(state["a.weight"], state["b.weight"])


def test_a_transpose_or_a_copy_is_another_leaf() -> None:
    tensor, array = torch.zeros(3, 3), np.zeros((3, 3))
    assert not same_place(tensor, tensor.T)
    assert not same_place(tensor, tensor.clone())
    assert not same_place(array, array.T)
    assert not same_place(array, tensor)
    assert not same_place(array, array.view("i8"))


def test_what_lies_nowhere_is_nothing_else() -> None:
    assert not same_place(torch.zeros(2, device="meta"), torch.zeros(2, device="meta"))
    assert not same_place(torch.zeros(0), torch.zeros(0))
    assert not same_place(np.zeros(0), np.zeros(0))
    assert not same_place("text", "other")
