"""Trains ember. Resumable: run the same command again.

    python3 train.py --out DIR [--steps N] [--peak RATE] [--threads T] [--from ember.gguf]

DIR gets tokenizer.json, checkpoint.pt (weights, optimizer, step) and log.txt. Batches are made on the fly and depend
only on the seed and the step, so a resumed run sees the same data as one that was never stopped.

With --from a new run starts from the weights and the tokenizer of an exported file (Q8_0 made float again; the state of the
optimizer is not in it) instead of random weights: after a change of the facts a fraction of the steps is enough.
"""
import argparse
import math
import os
import random
import time

# Debian 12's OpenBLAS takes processors that came after it for very old ones, which makes everything three times slower.
with open("/proc/cpuinfo", encoding="ascii") as cpus:
    if " avx512f " in cpus.read():
        os.environ.setdefault("OPENBLAS_CORETYPE", "SkylakeX")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # on a shared machine threads that spin while they wait cost half the speed
import torch
import torch.nn.functional as F

import gguf
import make_data
import model
import tokenizer as tk

SEED = 20261120
POOL = 16           # batches made at once, sorted by length to save padding
SHAPES = [(64, 1, 15), (12, 4, 1)]  # (rows, turns, batches of the POOL): single questions and conversations
BEGINNING = 10      # tokens left of a single answer that is cut short: which fact it is shows there
SHORT = 0.85, 0.35  # share of them at the start and at the end of the training


def conversation(source, tokens, turns, short, rng):
    """Ids of one conversation and the positions whose next token is learned (the answers)."""
    ids, learned = [], []
    for _ in range(turns):
        question, answer, kind = source.pair(rng)
        ids += [tk.USER, *tokens.encode(question), tk.ASSISTANT]
        reply = [*tokens.encode(answer), tk.END]
        if turns == 1 and kind in ("fact", "scope") and rng.random() < short:
            reply = reply[:BEGINNING]
        learned += range(len(ids) - 1, len(ids) - 1 + len(reply))
        ids += reply
    return ids[:model.CONTEXT], [p for p in learned if p + 1 < min(len(ids), model.CONTEXT)]


def pool(source, tokens, index, steps):
    """POOL batches of (ids [rows, length], flat positions, targets)."""
    rng = random.Random(SEED * 1000003 + index)
    short = SHORT[0] + (SHORT[1] - SHORT[0]) * index * POOL / steps
    batches = []
    for rows, turns, count in SHAPES:
        made = [conversation(source, tokens, turns, short, rng) for _ in range(rows * count)]
        made.sort(key=lambda c: len(c[0]))
        batches += [pad(made[i:i + rows]) for i in range(0, len(made), rows)]
    rng.shuffle(batches)
    return batches


def pad(conversations):
    length = max(len(ids) for ids, _ in conversations)
    ids = torch.full((len(conversations), length), tk.END, dtype=torch.long)
    wanted, targets = [], []
    for row, (tokens, learned) in enumerate(conversations):
        ids[row, :len(tokens)] = torch.tensor(tokens)
        wanted += [row * length + p for p in learned]
        targets += [tokens[p + 1] for p in learned]
    return ids, torch.tensor(wanted), torch.tensor(targets)


def make_tokenizer(source, path):
    if not os.path.exists(path):
        rng = random.Random(SEED)
        texts = [t for _ in range(60000) for t in source.pair(rng)[:2]]
        tk.Tokenizer(*tk.train(texts, model.VOCABULARY)).save(path)
    return tk.Tokenizer.load(path)


def start_from(path, net, tokenizer_path):
    """Take the weights and the tokenizer of an exported file."""
    file = gguf.Reader(path)
    merges = [m.split(" ") for m in file.metadata["tokenizer.ggml.merges"]]
    tk.Tokenizer(file.metadata["tokenizer.ggml.tokens"], merges).save(tokenizer_path)
    state = {name: torch.tensor(file.tensors[name if name.endswith(".weight") else name + ".weight"]) for name in net.state_dict()}
    net.load_state_dict(state)


def rate(step, steps, peak, warm=60):
    """Linear warm-up, then a cosine down to 2 % of the peak."""
    if step < warm:
        return peak * (step + 1) / warm
    return peak * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm))))


def save(path, net, optimizer, step, spent):
    state = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "spent": spent}
    torch.save(state, path + ".new")
    os.replace(path + ".new", path)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    parser.add_argument("--steps", type=int, default=4900)
    parser.add_argument("--peak", type=float, default=1.5e-3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--from", dest="exported", help="an exported file to start from")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    torch.manual_seed(SEED)
    torch.set_num_threads(args.threads)

    source = make_data.Source()
    net = model.Ember()
    tokenizer, checkpoint = os.path.join(args.out, "tokenizer.json"), os.path.join(args.out, "checkpoint.pt")
    if args.exported and not os.path.exists(checkpoint):
        start_from(args.exported, net, tokenizer)
    tokens = make_tokenizer(source, tokenizer)
    groups = [{"params": [p for p in net.parameters() if p.dim() == 2], "weight_decay": 0.05},
              {"params": [p for p in net.parameters() if p.dim() == 1], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=args.peak, betas=(0.9, 0.98))
    step, spent = 0, 0.0
    if os.path.exists(checkpoint):
        state = torch.load(checkpoint)
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        step, spent = state["step"], state["spent"]

    log = open(os.path.join(args.out, "log.txt"), "a", buffering=1)
    size = sum(p.numel() for p in net.parameters())
    print(f"{size} parameters, {len(source.facts)} facts, from step {step} to {args.steps}", file=log)
    seen, losses, begin = 0, [], time.time()
    batches = pool(source, tokens, step // POOL, args.steps)
    while step < args.steps:
        ids, wanted, targets = batches[step % POOL]
        for group in optimizer.param_groups:
            group["lr"] = rate(step, args.steps, args.peak)
        loss = F.cross_entropy(net(ids, wanted), targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        step += 1
        seen += ids.numel()
        losses.append(loss.item())
        if step % POOL == 0:
            batches = pool(source, tokens, step // POOL, args.steps)
        if step % 20 == 0:
            took = time.time() - begin
            spent += took
            print(f"step {step} loss {sum(losses) / len(losses):.4f} {seen / took:.0f} tokens/s {spent / 60:.1f} min", file=log)
            seen, losses, begin = 0, [], time.time()
        if step % 50 == 0 or step == args.steps:
            save(checkpoint, net, optimizer, step, spent)


if __name__ == "__main__":
    main()
