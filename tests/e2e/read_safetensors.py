"""Opens the safetensors files of a checkpoint folder with PyTorch's own library, and checks them against what its manifest
and a reading by hand say."""
import hashlib
import json
import os
import struct
import sys

import numpy
from safetensors import safe_open
from safetensors.numpy import load_file

folder = sys.argv[1]
kind, step = os.path.basename(folder).split("-")
dtypes = {"F32": numpy.float32, "F64": numpy.float64, "I32": numpy.int32, "I64": numpy.int64, "U16": numpy.uint16, "U8": numpy.uint8}


def by_hand(path):
    """Name to (dtype, shape, bytes), and whether each tensor is aligned to its numbers."""
    data = open(path, "rb").read()
    length, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    for name, about in header.items():
        begin, end = about["data_offsets"]
        yield name, about["dtype"], about["shape"], data[8 + length + begin:8 + length + end], (8 + length + begin)


tensors = {}
formats = set()
for file in ["model.safetensors"] + ["state.safetensors"] * (kind == "last"):
    path = os.path.join(folder, file)
    theirs = load_file(path)
    with safe_open(path, framework="numpy") as f:
        metadata = f.metadata() or {}
        assert set(f.keys()) == set(theirs)
        formats.add(metadata.get("checkpoint"))
        if "checkpoint" in metadata:
            assert metadata["step"] == str(int(step)), metadata
        if file == "model.safetensors":
            assert "model:" in json.loads(metadata["cantus"])["config"]
    for name, dtype, shape, data, at in by_hand(path):
        t = theirs[name]
        assert t.dtype == dtypes[dtype] and list(t.shape) == shape and t.tobytes() == data, name
        assert at % t.itemsize == 0, f"{name} is not aligned"
        if dtype in ("F32", "F64") and "best" not in name:
            assert numpy.isfinite(t).all(), name
    tensors.update(theirs)

size = sum(t.size for name, t in tensors.items() if not name.startswith(("counters", "memory", "moment", "variance")))
if kind == "last":
    assert tensors["moment"].size == tensors["variance"].size == size
assert len(formats) == 1
if formats != {None}:
    manifest = json.load(open(os.path.join(folder, "manifest.json")))
    assert manifest["kind"] == kind and manifest["step"] == int(step) and formats == {str(manifest["format"])}
    for file, about in manifest["files"].items():
        data = open(os.path.join(folder, file), "rb").read()
        assert len(data) == about["bytes"] and hashlib.sha256(data).hexdigest() == about["sha256"], file
    if kind == "last":
        assert tensors["counters.step"].shape == () and int(tensors["counters.step"]) == int(step)
print(f"{folder}: {len(tensors)} tensors, {size} parameters")
