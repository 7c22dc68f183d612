"""The part of GGUF v3 that ember needs: metadata, F32 and Q8_0 tensors; a writer and a reader."""
import struct

import numpy as np

ALIGNMENT = 32
U32, F32, BOOL, STRING, ARRAY, I32 = 4, 6, 7, 8, 9, 5          # metadata value types
SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
TENSOR_F32, TENSOR_Q8_0 = 0, 8
BLOCK = 32                                                    # values in a Q8_0 block: an f16 scale and 32 int8


def quantize(values):
    """float32 [..., n] → Q8_0 bytes; n is a multiple of 32."""
    blocks = values.astype(np.float32).reshape(-1, BLOCK)
    scale = (np.abs(blocks).max(1, keepdims=True) / 127).astype(np.float16)
    divisor = np.where(scale == 0, 1, scale.astype(np.float32))
    codes = np.clip(np.rint(blocks / divisor), -127, 127).astype(np.int8)
    return np.concatenate((scale.view(np.uint8), codes.view(np.uint8)), 1).tobytes()


def dequantize(data):
    raw = np.frombuffer(data, np.uint8).reshape(-1, BLOCK + 2)
    scale = raw[:, :2].copy().view(np.float16).astype(np.float32)
    return raw[:, 2:].copy().view(np.int8).astype(np.float32) * scale


def _string(text):
    raw = text.encode("utf-8")
    return struct.pack("<Q", len(raw)) + raw


def _value(kind, value):
    if kind == STRING:
        return _string(value)
    if kind == ARRAY:
        inner, items = value
        return struct.pack("<IQ", inner, len(items)) + b"".join(_value(inner, i) for i in items)
    return struct.pack(SCALARS[kind], value)


def write(path, metadata, tensors):
    """metadata: [(key, type, value)], arrays as (element type, list). tensors: [(name, array)]; matrices become Q8_0."""
    infos, data = b"", b""
    for name, array in tensors:
        kind = TENSOR_Q8_0 if array.ndim == 2 else TENSOR_F32
        infos += _string(name) + struct.pack("<I", array.ndim) + struct.pack(f"<{array.ndim}Q", *reversed(array.shape))
        infos += struct.pack("<IQ", kind, len(data))
        data += quantize(array) if kind == TENSOR_Q8_0 else array.astype("<f4").tobytes()
        data += bytes(-len(data) % ALIGNMENT)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    head += b"".join(_string(key) + struct.pack("<I", kind) + _value(kind, value) for key, kind, value in metadata) + infos
    with open(path, "wb") as f:
        f.write(head + bytes(-len(head) % ALIGNMENT) + data)


class Reader:
    """metadata as a dict, tensors as float32 arrays [rows, columns]."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self._data, self._at = f.read(), 0
        if self._take("<4s") != b"GGUF" or self._take("<I") != 3:
            raise ValueError(f"{path} is not a GGUF v3 file")
        count, entries = self._take("<Q"), self._take("<Q")
        self.metadata = {}
        for _ in range(entries):
            key = self._text()
            self.metadata[key] = self._read(self._take("<I"))
        infos = []
        for _ in range(count):
            name, dims = self._text(), self._take("<I")
            shape = [self._take("<Q") for _ in range(dims)][::-1]
            infos.append((name, shape, self._take("<I"), self._take("<Q")))
        base = self._at + -self._at % ALIGNMENT
        self.tensors = {name: self._tensor(shape, kind, base + offset) for name, shape, kind, offset in infos}

    def _take(self, form):
        value, = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return value

    def _text(self):
        size = self._take("<Q")
        self._at += size
        return self._data[self._at - size:self._at].decode("utf-8")

    def _read(self, kind):
        if kind == STRING:
            return self._text()
        if kind == ARRAY:
            inner, size = self._take("<I"), self._take("<Q")
            return [self._read(inner) for _ in range(size)]
        return self._take(SCALARS[kind])

    def _tensor(self, shape, kind, offset):
        n = int(np.prod(shape))
        if kind == TENSOR_Q8_0:
            return dequantize(self._data[offset:offset + n // BLOCK * (BLOCK + 2)]).reshape(shape)
        if kind == TENSOR_F32:
            return np.frombuffer(self._data, "<f4", n, offset).reshape(shape)
        raise ValueError(f"tensor type {kind} is neither F32 nor Q8_0")
