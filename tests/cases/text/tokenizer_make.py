#!/usr/bin/env python3
"""Makes the small vocabularies beside this file, with texts and their tokens.

The tokens are found by the slowest and plainest way to write each rule down, apart from hearth's code:
    python3 tokenizer_make.py
"""
import collections
import json
import pathlib
import re

HERE = pathlib.Path(__file__).parent
MARK = "\u2581"
CORPUS = (
    "The quick brown fox jumps over the lazy dog. The dog sleeps; the fox runs through the forest, and the "
    "river runs to the sea. There are 12 rivers and 3456 lakes in the north. She said: don't go there, they're "
    "not at home! We'll see what the weather brings to the other side of the mountain. Hello world, hello there. "
    "for (int i = 0; i < 10; ++i) { sum += values[i]; } return sum; // the sum of the values\n    indented\n"
)
TEXTS = [
    "hello", "Hello there, world!", "the the the", "  two  spaces  ", "tab\tand\nline\n\nends", "don't they're WE'LL",
    "1234567 3.14", "caf\u00e9 na\u00efve", "\u4f60\u597d", "e\u0301", "\U0001f600!", "x", " ", "\n", "a" * 40,
    "the" * 30, " " * 37, "for (int i = 0; i < 3; ++i) {}", "<s>hello</s>", "<think>the</think>", "under_score",
    "mixed\u00a0space", "UPPER lower", "\u0000nul", "the\u2581mark",
]


def byte_letters():
    table, extra = {}, 256
    for b in range(256):
        if 33 <= b <= 126 or 161 <= b <= 172 or 174 <= b <= 255:
            table[b] = chr(b)
        else:
            table[b] = chr(extra)
            extra += 1
    return table


def train(words, count):
    """Byte-pair merges of words given as tuples of symbols."""
    words, merges = collections.Counter(words), []
    while len(merges) < count:
        pairs = collections.Counter()
        for word, n in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += n
        if not pairs:
            break
        best = min(pairs, key=lambda p: (-pairs[p], p))
        merges.append(best)
        words = collections.Counter({tuple(merge_once(list(w), best)): n for w, n in words.items()})
    return merges


def merge_once(word, pair):
    out, i = [], 0
    while i < len(word):
        if tuple(word[i:i + 2]) == pair:
            out.append(word[i] + word[i + 1])
            i += 2
        else:
            out.append(word[i])
            i += 1
    return out


def merge_by_rank(symbols, rank):
    """rank(left, right) gives a number or None; the lowest merges first, the leftmost of equals."""
    symbols = list(symbols)
    while True:
        best = None
        for i in range(len(symbols) - 1):
            r = rank(symbols[i], symbols[i + 1])
            if r is not None and (best is None or r < best[0]):
                best = (r, i)
        if best is None:
            return symbols
        i = best[1]
        symbols[i:i + 2] = [symbols[i] + symbols[i + 1]]


def split_special(text, specials):
    """Longest special token first, over the whole text."""
    parts = [(text, None)]
    for token in sorted(specials, key=lambda t: -len(t.encode())):
        cut = []
        for part, known in parts:
            if known is not None:
                cut.append((part, known))
                continue
            while token in part:
                before, part = part.split(token, 1)
                cut += [(before, None), (token, token)]
            cut.append((part, None))
        parts = [p for p in cut if p[0]]
    return parts


def write(name, vocabulary, encode, texts=TEXTS):
    tokens, types = vocabulary["tokens"], vocabulary["types"]
    ids = {t: i for i, t in enumerate(tokens)}
    cases = []
    for text in texts:
        for parse in (False, True):
            wanted = [t for t, k in zip(tokens, types) if k == 4 or (parse and k in (2, 3))]
            out = []
            for part, special in split_special(text, wanted):
                out += [ids[special]] if special else encode(part, ids)
            cases.append({"text": text, "parse_special": parse, "ids": out})
    vocabulary["cases"] = cases
    lines = ",\n ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in vocabulary.items())
    (HERE / f"tokenizer_{name}.json").write_text("{" + lines + "}\n")


def byte_bpe():
    letters = byte_letters()
    # gpt-2's expression for texts whose letters re knows by \w, less digits and the underscore
    words = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")
    spell = lambda word: tuple(letters[b] for b in word.encode())
    merges = train([spell(w) for w in words.findall(CORPUS)], 220)
    tokens = list(letters.values()) + [a + b for a, b in merges] + ["<s>", "</s>", "<think>", "</think>"]
    types = [1] * (len(tokens) - 4) + [3, 3, 4, 4]
    rank = {pair: i for i, pair in enumerate(merges)}
    assert words.findall("e\u0301") == ["e", "\u0301"]

    def encode(text, ids):
        out = []
        for word in words.findall(text):
            out += [ids[s] for s in merge_by_rank(spell(word), lambda a, b: rank.get((a, b)))]
        return out

    write("gpt2", {"model": "gpt2", "pre": "gpt-2", "tokens": tokens, "types": types,
                   "merges": [" ".join(m) for m in merges], "bos": len(tokens) - 4, "eos": len(tokens) - 3,
                   "add_bos": True}, encode)


def marked_words(text):
    return re.findall(f"{MARK}*[^{MARK}]+|{MARK}+", text.replace(" ", MARK))


def spm():
    merges = train([tuple(w) for w in marked_words(CORPUS.replace("\n", " "))], 200)
    words = [a + b for a, b in merges]
    chars = sorted(set("".join(words)) | set("abcdefghijklmnopqrstuvwxyzT.,") | {MARK})
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] + words + chars
    types = [2, 3, 3] + [6] * 256 + [1] * (len(words) + len(chars))
    scores = [0] * 259 + [-i // 2 for i in range(len(words))] + [-1000] * len(chars)  # pairs of equal scores
    score = dict(zip(tokens, scores))

    def encode(text, ids):
        symbols = list(MARK + text.replace(" ", MARK))
        rank = lambda a, b: -score[a + b] if a + b in ids and types[ids[a + b]] == 1 else None
        out = []
        for s in merge_by_rank(symbols, rank):
            out += [ids[s]] if s in ids else [ids[f"<0x{b:02X}>"] for b in s.encode()]
        return out

    write("llama", {"model": "llama", "tokens": tokens, "types": types, "scores": scores, "bos": 1, "eos": 2,
                    "unk": 0}, encode)


def mark_bpe():
    merges = train([tuple(w) for w in marked_words(CORPUS.replace("\n", " "))], 200)
    words = [a + b for a, b in merges]
    chars = sorted(set(CORPUS.replace(" ", MARK)))
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] + words + chars + ["\n\n", "<think>"]
    types = [2, 3, 1] + [6] * 256 + [1] * (len(words) + len(chars) + 1) + [4]
    rank = {pair: i for i, pair in enumerate(merges)}

    def encode(text, ids):
        out = []
        for line in re.findall(r"\n+|[^\n]+", text.replace(" ", MARK)):
            if line[0] == "\n" and line in ids:
                out.append(ids[line])
                continue
            for s in merge_by_rank(line, lambda a, b: rank.get((a, b))):
                out += [ids[s]] if s in ids else [ids[f"<0x{b:02X}>"] for b in s.encode()]
        return out

    write("gemma4", {"model": "gemma4", "tokens": tokens, "types": types, "merges": [" ".join(m) for m in merges],
                     "bos": 1, "eos": 2, "unk": 0}, encode)


def wordpiece():
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    starts = ["the", "he", "hello", "for", "int", "there", "don", "they", "we", "two", "space", "low", "\u4f60"]
    ends = ["llo", "re", "s", "er", "ll", "ther", "the"]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"] + [MARK + w for w in starts + list(letters) + list("!,.'(){}<>=;:/+_")]
    tokens += ends + list(letters)
    types = [3] * 4 + [1] * (len(tokens) - 4)
    fold = {"\u00e9": "e", "\u00ef": "i", "\u0301": "", "\x00": ""}

    def encode(text, ids):
        text = "".join(fold.get(c, c) for c in text).lower()
        text = re.sub("([\u4e00-\u9fff]|[^\\w\\s\u2581\U0001f600]|_)", r" \1 ", text)
        out = []
        for word in text.split():
            word, found = MARK + word, []
            while word:
                n = max((n for n in range(1, len(word) + 1) if word[:n] in ids), default=0)
                if n == 0:
                    found = [1]
                    break
                found.append(ids[word[:n]])
                word = word[n:]
            out += found
        return out

    write("bert", {"model": "bert", "tokens": tokens, "types": types, "unk": 1, "cls": 2, "sep": 3}, encode)


def unigram():
    words = ["the", MARK + "the", "he", "hello", MARK + "hello", "re", "ll", "there", "in", "for", "or", MARK + "t"]
    words += [MARK] + list("abcdefghijklmnopqrstuvwxyz.,!'")
    tokens = ["<pad>", "</s>", "<unk>"] + words + ["<think>"]
    scores = [0, 0, 0] + [-2 - 0.375 * i for i in range(len(words))] + [0]
    types = [3, 3, 2] + [1] * len(words) + [4]
    unknown = min(scores) - 10

    def encode(text, ids):
        text = re.sub(" +", " ", text.replace(MARK, MARK)).strip(" ")
        if not text:
            return []
        text = MARK + text.replace(" ", MARK)
        best = [(0.0, [])] + [None] * len(text)
        for end in range(1, len(text) + 1):
            for begin in range(end):
                piece = text[begin:end]
                known = piece in ids and types[ids[piece]] in (1, 4)
                if not known and end - begin > 1:
                    continue
                add = (0 if types[ids[piece]] == 4 else scores[ids[piece]]) if known else unknown
                if best[end] is None or best[begin][0] + add > best[end][0]:
                    best[end] = (best[begin][0] + add, best[begin][1] + [ids[piece] if known else 2])
        return [t for i, t in enumerate(best[-1][1]) if t != 2 or i == 0 or best[-1][1][i - 1] != 2]

    write("t5", {"model": "t5", "tokens": tokens, "types": types, "scores": scores, "eos": 1, "unk": 2,
                 "add_space_prefix": True, "remove_extra_whitespaces": True}, encode)


def rwkv():
    escape = lambda b: "".join({10: "\\n", 9: "\\t", 13: "\\r", 92: "\\\\", 39: "\\'"}.get(
        c, chr(c) if 32 <= c < 127 else f"\\x{c:02x}") for c in b)
    words = [bytes([b]) for b in range(256)]
    words += [w.encode() for w in ("the", " the", "hello", "there", "  ", "    ", "\n\n", "don't", "\u4f60", "re", "th")]
    tokens = ["<s>"] + [escape(w) if all(c < 128 for c in w) or len(w) == 1 else w.decode() for w in words]

    def encode(text, _):
        raw, out = text.encode(), []
        while raw:
            n = max(len(w) for w in words + [b"<s>"] if raw.startswith(w))
            out.append(0 if raw[:n] == b"<s>" else words.index(raw[:n]) + 1)
            raw = raw[n:]
        return out

    write("rwkv", {"model": "rwkv", "tokens": tokens, "types": [3] + [1] * len(words), "bos": 0, "eos": 0}, encode)


if __name__ == "__main__":
    for make in (byte_bpe, spm, mark_bpe, wordpiece, unigram, rwkv):
        make()
