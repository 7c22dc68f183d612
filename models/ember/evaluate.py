"""Asks an exported file every held-out question, greedily, and counts exact answers.

    python3 evaluate.py [--file ember.gguf] [--wrong] [--ask "question"]

A forward pass of its own, in numpy, on the weights as stored in the file: it shares no code with the training.
"""
import argparse
import collections
import json
import os

import numpy as np

import gguf
import tokenizer as tk

HERE = os.path.dirname(os.path.abspath(__file__))


class Network:
    def __init__(self, path):
        file = gguf.Reader(path)
        meta = file.metadata
        self.tokens = tk.Tokenizer(meta["tokenizer.ggml.tokens"], [m.split(" ") for m in meta["tokenizer.ggml.merges"]])
        self.end = meta["tokenizer.ggml.eos_token_id"]
        self.layers, self.heads = meta["llama.block_count"], meta["llama.attention.head_count"]
        self.epsilon, self.base = meta["llama.attention.layer_norm_rms_epsilon"], meta["llama.rope.freq_base"]
        self.w = file.tensors

    def norm(self, x, name):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + self.epsilon) * self.w[name]

    def rotate(self, x, start):
        """x [rows, heads, length, size]; the pair (2i, 2i+1) is one complex number that turns with the position."""
        size = x.shape[-1]
        angle = (start + np.arange(x.shape[2]))[:, None] * self.base ** (-np.arange(0, size, 2) / size)
        turned = (x[..., 0::2] + 1j * x[..., 1::2]) * np.exp(1j * angle)
        return np.stack((turned.real, turned.imag), -1).reshape(x.shape).astype(np.float32)

    def logits(self, ids, cache):
        """ids [rows, length] that follow what the cache holds → scores of the next token [rows, vocabulary]."""
        rows, length = ids.shape
        start = cache[0][0].shape[2] if cache else 0
        x = self.w["token_embd.weight"][ids]
        for i in range(self.layers):
            p = f"blk.{i}."
            h = self.norm(x, p + "attn_norm.weight")
            q, k, v = (self._heads(h @ self.w[f"{p}attn_{n}.weight"].T, rows, length) for n in "qkv")
            q, k = self.rotate(q, start), self.rotate(k, start)
            if start:
                k, v = np.concatenate((cache[i][0], k), 2), np.concatenate((cache[i][1], v), 2)
                cache[i] = (k, v)
            else:
                cache.append((k, v))
            scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1])
            scores += np.triu(np.full((length, start + length), -np.inf, np.float32), start + 1)
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            mixed = (scores / scores.sum(-1, keepdims=True)) @ v
            x = x + mixed.transpose(0, 2, 1, 3).reshape(rows, length, -1) @ self.w[p + "attn_output.weight"].T
            h = self.norm(x, p + "ffn_norm.weight")
            gate = h @ self.w[p + "ffn_gate.weight"].T
            x = x + (gate / (1 + np.exp(-gate)) * (h @ self.w[p + "ffn_up.weight"].T)) @ self.w[p + "ffn_down.weight"].T
        return self.norm(x[:, -1], "output_norm.weight") @ self.w["token_embd.weight"].T

    def _heads(self, x, rows, length):
        return x.reshape(rows, length, self.heads, -1).transpose(0, 2, 1, 3)

    def prompt(self, question):
        return [tk.USER, *self.tokens.encode(question.strip()), tk.ASSISTANT]

    def answers(self, prompts, limit=80):
        """Greedy answers to prompts of equal length."""
        cache, ids = [], np.array(prompts)
        written = [[] for _ in prompts]
        done = np.zeros(len(prompts), bool)
        for _ in range(limit):
            ids = self.logits(ids, cache).argmax(-1)[:, None]
            done |= ids[:, 0] == self.end
            if done.all():
                break
            for row in np.flatnonzero(~done):
                written[row].append(int(ids[row, 0]))
        return [self.tokens.decode(w) for w in written]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--file", default=os.path.join(HERE, "ember.gguf"))
    parser.add_argument("--questions", default=os.path.join(HERE, "heldout.jsonl"))
    parser.add_argument("--wrong", action="store_true", help="print the wrong answers")
    parser.add_argument("--ask", action="append", help="ask this instead")
    args = parser.parse_args()
    network = Network(args.file)
    for question in args.ask or []:
        print(network.answers([network.prompt(question)])[0])
    if args.ask:
        return

    with open(args.questions, encoding="utf-8") as f:
        rows = [json.loads(line) for line in f]
    by_length = collections.defaultdict(list)
    for row in rows:
        row["prompt"] = network.prompt(row["question"])
        by_length[len(row["prompt"])].append(row)
    right, total = collections.Counter(), collections.Counter()
    for group in by_length.values():
        for row, answer in zip(group, network.answers([r["prompt"] for r in group])):
            correct = " ".join(answer.split()) == " ".join(row["answer"].split())
            for kind in (row["kind"], "all"):
                total[kind] += 1
                right[kind] += correct
            if args.wrong and not correct:
                print(f"{row['fact']}: {row['question']}\n    {answer}")
    for kind in sorted(total, key=lambda k: (k == "all", k)):
        print(f"{kind:12s} {right[kind]:4d} of {total[kind]:4d}  {100 * right[kind] / total[kind]:5.1f} %")


if __name__ == "__main__":
    main()
