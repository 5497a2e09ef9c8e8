"""torch's element types and storage classes, by their names in files; torch is not needed."""

from __future__ import annotations

from caten_sd.state.dtype import DTYPES, DType
from caten_sd.state.leaf import Opaque


class ElementType(Opaque):
    """A torch dtype; ``dtype`` is ours, or None if a tensor of it can only be an Opaque."""

    __slots__ = ("dtype", "itemsize")

    def __init__(self, name: str, dtype: DType | None, itemsize: int) -> None:
        super().__init__(f"torch.{name}")
        self.dtype, self.itemsize = dtype, itemsize


class StorageType(Opaque):
    """A torch storage class; in older files it gives the dtype of the tensors over it."""

    __slots__ = ("element",)

    def __init__(self, name: str, element: ElementType) -> None:
        super().__init__(name)
        self.element = element


# Bytes of the element types that have no DType, to check the size of their storages.
_OPAQUE = {"complex32": 4, "bits8": 1, "bits16": 2, "bits1x8": 1, "bits2x4": 1, "bits4x2": 1}
_QUANTIZED = {"qint8": 1, "quint8": 1, "qint32": 4, "quint4x2": 1, "quint2x4": 1}

ELEMENTS: dict[str, ElementType] = {
    name: ElementType(name, dtype, dtype.itemsize)
    for name, dtype in DTYPES.items()
    if dtype.itemsize
}
ELEMENTS.update({name: ElementType(name, None, size) for name, size in _OPAQUE.items()})
ELEMENTS.update({name: ElementType(name, None, size) for name, size in _QUANTIZED.items()})
# torch counts pairs of 4-bit floats. A leaf counts the floats: its last axis is twice as long.
PAIRS = ELEMENTS["float4_e2m1fn_x2"] = ElementType("float4_e2m1fn_x2", DTYPES["float4_e2m1fn"], 1)

STORAGES: dict[str, str] = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "QInt8Storage": "qint8",
    "QUInt8Storage": "quint8",
    "QInt32Storage": "qint32",
    "QUInt4x2Storage": "quint4x2",
    "QUInt2x4Storage": "quint2x4",
}
STORAGE_OF = {element: storage for storage, element in STORAGES.items()}

TYPES: dict[tuple[str, str], ElementType | StorageType] = {
    ("torch", name): element for name, element in ELEMENTS.items()
}
TYPES.update(
    {
        (module, storage): StorageType(f"{module}.{storage}", ELEMENTS[element])
        for module in ("torch", "torch.cuda")
        for storage, element in STORAGES.items()
    }
)
TYPES.update(
    {
        ("torch.storage", name): StorageType(f"torch.storage.{name}", ELEMENTS["uint8"])
        for name in ("UntypedStorage", "_UntypedStorage")
    }
)
