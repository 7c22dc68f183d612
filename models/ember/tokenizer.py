"""Byte-level BPE: training on a list of texts, encoding, decoding.

Text is split as `tokenizer.ggml.pre = smollm` splits it: every digit alone, then words with the blank before them,
runs of punctuation, runs of blanks. Python's `re` has no \\p{L}; `[^\\W\\d_]` and `\\d` stand in for letters and numbers.
"""
import collections
import json
import re

SPECIAL = ["<|end|>", "<|user|>", "<|assistant|>"]  # ids 0, 1, 2
END, USER, ASSISTANT = range(3)

_NUMBER = re.compile(r"(\d)")
_WORD = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")


def byte_alphabet():
    """The printable character that stands for each byte in GPT-2 style vocabularies."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table, extra = {}, 256
    for byte in range(256):
        if byte in printable:
            table[byte] = chr(byte)
        else:
            table[byte] = chr(extra)
            extra += 1
    return table


BYTE_TO_CHAR = byte_alphabet()
CHAR_TO_BYTE = {c: b for b, c in BYTE_TO_CHAR.items()}


def split(text):
    """Cut a text into the pieces within which merges happen."""
    pieces = []
    for part in _NUMBER.split(text):
        pieces += [part] if _NUMBER.fullmatch(part) else _WORD.findall(part)
    return pieces


def spell(piece):
    return tuple(BYTE_TO_CHAR[b] for b in piece.encode("utf-8"))


def train(texts, size):
    """Learn merges until the vocabulary has `size` tokens. Returns (tokens, merges)."""
    counts = collections.Counter(piece for text in texts for piece in split(text))
    words = [[list(spell(piece)), n] for piece, n in sorted(counts.items())]
    tokens = SPECIAL + [BYTE_TO_CHAR[b] for b in range(256)]
    merges = []
    while len(tokens) < size:
        pairs = collections.Counter()
        for symbols, n in words:
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += n
        if not pairs:
            break
        best = min(pairs, key=lambda p: (-pairs[p], p))
        merges.append(best)
        if best[0] + best[1] not in tokens:
            tokens.append(best[0] + best[1])
        for word in words:
            word[0] = join(word[0], best)
    return tokens, merges


def join(symbols, pair):
    """Replace every occurrence of a pair by its concatenation, from the left."""
    out, i = [], 0
    while i < len(symbols):
        if i + 1 < len(symbols) and (symbols[i], symbols[i + 1]) == pair:
            out.append(pair[0] + pair[1])
            i += 2
        else:
            out.append(symbols[i])
            i += 1
    return out


class Tokenizer:
    def __init__(self, tokens, merges):
        self.tokens, self.merges = tokens, [tuple(m) for m in merges]
        self.ids = {t: i for i, t in enumerate(tokens)}
        self.rank = {m: i for i, m in enumerate(self.merges)}
        self._known = {}

    @staticmethod
    def load(path):
        with open(path, encoding="utf-8") as f:
            data = json.load(f)
        return Tokenizer(data["tokens"], data["merges"])

    def save(self, path):
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"tokens": self.tokens, "merges": self.merges}, f)

    def encode(self, text):
        """Ids of plain text; control tokens are never recognised in it."""
        return [i for piece in split(text) for i in self._piece(piece)]

    def _piece(self, piece):
        if piece not in self._known:
            symbols = list(spell(piece))
            while len(symbols) > 1:
                best = min(zip(symbols, symbols[1:]), key=lambda p: self.rank.get(p, len(self.rank)))
                if best not in self.rank:
                    break
                symbols = join(symbols, best)
            self._known[piece] = [self.ids[s] for s in symbols]
        return self._known[piece]

    def decode(self, ids):
        """Text of ids; control tokens are left out."""
        chars = "".join(self.tokens[i] for i in ids if i >= len(SPECIAL))
        return bytes(CHAR_TO_BYTE[c] for c in chars).decode("utf-8", "replace")
