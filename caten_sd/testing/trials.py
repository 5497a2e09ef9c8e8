"""One input that may be hostile: it is read whole, and judged by what comes out."""

from __future__ import annotations

import contextlib
import unicodedata
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from caten_sd.errors import CatenError
from caten_sd.files.checkpoint import open_source, read_state_dict
from caten_sd.files.format import Format, read, recognize
from caten_sd.files.which_tree import model_tree
from caten_sd.state.leaf import Numpy, as_array
from caten_sd.state.state_dict import StateDict
from caten_sd.testing.within_limits import TooSlowError, processor_limited

_LONGEST = 4000  # characters of a message
_OBEYED = ("Cc", "Cf", "Cs", "Zl", "Zp")  # categories of characters that a screen obeys

Arrays = dict[str, Any]


class Trial(NamedTuple):
    """What reading a file gives: what is wrong with that, or "", and the arrays or the error."""

    problem: str
    result: Arrays | BaseException

    def change(self, expected: Arrays) -> str:
        """Return how the arrays differ from those that are expected, or ""; an error is none."""
        if isinstance(self.result, BaseException):
            return ""
        if self.result.keys() != expected.keys():
            return f"it is read without an error, with the keys {list(self.result)}"
        changed = (key for key, array in self.result.items() if not _same(array, expected[key]))
        key = next(changed, None)
        return "" if key is None else f"{key!r} is read without an error, with other values"


def _same(array: Any, expected: Any) -> bool:
    """Return whether an array is the expected one; an error in its place is."""
    if isinstance(array, BaseException):
        return True
    same = (array.dtype, array.shape) == (expected.dtype, expected.shape)
    return same and bool(array.tobytes() == expected.tobytes())


def tried(path: Path, format: Format | None = None) -> Trial:
    """Read a whole file, within the limits of time; only an error of the library may come out.

    With a format, its own methods are called, so that each error has to be theirs.
    """
    try:
        with warnings.catch_warnings(), processor_limited():
            warnings.simplefilter("error")
            if format is None:
                with read_state_dict(path, root="") as found:
                    return _all_read(found)
            with contextlib.closing(open_source(path)) as source:
                recognize(format, source)
                contents = read(format, source)
                tree = model_tree(contents.tree, source.name, "")
                return _all_read(StateDict(tree.leaves, metadata=contents.metadata))
    except CatenError as error:
        return Trial(_fault(error), error)
    except KeyboardInterrupt:
        raise
    except TooSlowError as error:
        return Trial(str(error), error)
    except BaseException as error:  # whatever else comes out is wrong
        text = f"{type(error).__name__} comes out, and not a CatenError: {str(error)[:200]}"
        return Trial(text, error)


def _all_read(state_dict: StateDict) -> Trial:
    arrays: Arrays = {}
    for key, leaf in state_dict.items():
        try:
            arrays[key] = np.array(as_array(Numpy(), leaf))
        except CatenError as error:
            arrays[key] = error
            if fault := _fault(error):
                return Trial(fault, error)
    return Trial("", arrays)


def _fault(error: CatenError) -> str:
    """Return what is wrong with a message, or "": it is one line that a screen only shows."""
    text = str(error)
    odd = [char for char in text if unicodedata.category(char) in _OBEYED]
    if odd or len(text) > _LONGEST:
        return f"a message with {odd[:3]} and {len(text)} characters: {text[:200]!r}"
    return ""
