"""Name a zip file or a folder that is a checkpoint of another library, by the names in it.

Such a one can hold a file that reads well and is not the model: an example input, say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from caten_sd.errors import FormatError
from caten_sd.state.source import Folder

# What to search for in the names, each between two zero bytes; what has it; what reads that.
# These hold files that read well and are not the model, so they are looked for first.
_MISLEADING = (
    (
        r"\0(?:[^/\0]+/)?archive_format\0",
        "an unpacked program of torch.export",
        "pack it into one zip file again, and open that",
    ),
    (
        r"\0serialized_exported_program\.json\0",
        "an unpacked program of torch.export before 2.6",
        "open its file serialized_state_dict.pt",
    ),
    (
        r"/extern_modules\0",
        "a package of torch.package",
        "load it with torch.package.PackageImporter, and write its state_dict() with torch.save",
    ),
    (
        r"\0group[0-9]+-shard[0-9]+of[0-9]+(?:\.bin)?\0",
        "a TensorFlow.js model",
        "convert it with tensorflowjs_converter",
    ),
    (
        r"\0schema\.json\0(?:[^/]*\0)?[0-9]+\.npy\0|\0[0-9]+\.npy\0(?:[^/]*\0)?schema\.json\0",
        "an object saved by skops",
        "load it with skops.io.load",
    ),
)
_WITHOUT_MODEL = (
    (
        r"\0model\.weights\.h5\0",
        "a Keras model",
        "load it with keras.saving.load_model, and write its weights with numpy.savez",
    ),
    (
        r"\0(?:[^/\0]+/)?saved_model\.pb(?:txt)?\0",
        "a TensorFlow SavedModel",
        "load it with tensorflow.saved_model.load, and write its variables with numpy.savez",
    ),
    (
        r"\.data-[0-9]{5}-of-[0-9]{5}\0",
        "a TensorFlow checkpoint",
        "read it with tensorflow.train.load_checkpoint, and write its arrays with numpy.savez",
    ),
    (
        r"\0(?:[^/\0]+\.mlpackage/)?(?:Data/)?com\.apple\.CoreML/",
        "a Core ML package",
        "load it with coremltools",
    ),
    (
        r"\0(?:_CHECKPOINT_METADATA|manifest\.ocdbt|_METADATA)\0",
        "an Orbax checkpoint in an archive",
        "unpack it, and open the folder",
    ),
    (
        r"\0(?:zarr\.json|\.zgroup|\.zarray|\.zmetadata)\0",
        "a zarr store",
        "open it with zarr, and write its arrays with numpy.savez",
    ),
    (
        r"\.onnx\0",
        "a folder or archive with an ONNX model",
        "load it with onnx.load, and write its initializers with numpy.savez",
    ),
    (
        r"\.(?:h5|hdf5|keras)\0",
        "a folder or archive with Keras weights",
        "load it with Keras, and write its weights with numpy.savez",
    ),
)
_BACKEND = re.compile(rb'"sharded_backend"\s*:\s*"(\w{1,40})"')


def foreign_members(
    name: str, members: Iterable[str], *, misleading: bool = True
) -> FormatError | None:
    """Return an error that says what a zip file or folder with these members is; None if unknown.

    ``misleading`` looks only for those that hold other checkpoints than the model.
    """
    text = "\0".join(["", *members, ""])
    for pattern, kind, fix in _MISLEADING if misleading else _MISLEADING + _WITHOUT_MODEL:
        if re.search(pattern, text):
            return FormatError(name, f"it is {kind}, which caten_sd does not read", fix)
    return None


def foreign_folder(folder: Folder, *, misleading: bool = True) -> FormatError | None:
    """Return an error that says what a folder is; None if it is not known or is a checkpoint."""
    names = folder.names()
    if ".metadata" in names:  # torch's distributed checkpoint
        return None
    if "metadata.json" in names and (found := _BACKEND.search(_head(folder, "metadata.json"))):
        return _megatron(folder.name, found[1].decode())
    return foreign_members(folder.name, names, misleading=misleading)


def _megatron(name: str, backend: str) -> FormatError:
    if backend == "torch_dist":
        problem = "it is a torch_dist checkpoint of Megatron, and its file .metadata is missing"
        return FormatError(name, problem, "get the folder again, with its hidden files")
    return FormatError(
        name,
        f"it is a Megatron checkpoint in the format {backend}, which caten_sd does not read",
        "load it with a megatron.core that reads it (zarr: before 0.16), and save it as torch_dist",
    )


def _head(folder: Folder, name: str) -> bytes:
    return folder.member(name, held=False).head(1 << 16) if folder.has(name) else b""
