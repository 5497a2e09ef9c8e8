"""The contract of a checkpoint format, and the suites that hold a format to it.

``check_format(Mine)`` tries every clause on a subclass of ``Format`` and its methods of
``recognize``, ``read`` and ``write``; ``check_hostile(Mine)`` tries damaged files alone, and more
of them. Both raise ``ContractError``, which names the clause, and need nothing but the class:
neither pytest nor a file. ``clauses(Mine)`` gives the clauses one by one, as a test with pytest
takes them. ``for clause in CONTRACT: print(clause)`` prints the contract.

In short, it says:

- ``recognize`` answers by content, reads little, takes no file of another format and never raises.
- What ``write`` takes, ``read`` gives back: values, order, dtypes, shapes, ties and metadata. What
  the format cannot hold is refused by its key before the first byte.
- ``read`` reads headers only, and a slice reads its own rows. A format whose ``read`` returns
  arrays is tried with ``lazy=False``.
- A save is whole or not done, and has the same bytes each time. Leaves are read in any order, by
  threads and by other processes, and not after closing.
- Whatever a file holds, leaves come out, or an error of the library in one sentence: soon, and with
  no more memory than 64 MB and 8 times the size of the file.
"""

from caten_sd.errors import ContractError
from caten_sd.testing.clause import Clause
from caten_sd.testing.contract import (
    CONTRACT,
    BoundClause,
    check_format,
    check_hostile,
    clauses,
)
from caten_sd.testing.damage import Mutator, mutated

__all__ = [
    "CONTRACT",
    "BoundClause",
    "Clause",
    "ContractError",
    "Mutator",
    "check_format",
    "check_hostile",
    "clauses",
    "mutated",
]
