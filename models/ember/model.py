"""The network in PyTorch: llama's, with rows of q and k rotated as adjacent pairs, as GGUF files of arch llama expect."""
import torch
import torch.nn.functional as F
from torch import nn

WIDTH, LAYERS, HEADS, HIDDEN = 256, 4, 8, 640
HEAD = WIDTH // HEADS
VOCABULARY, CONTEXT = 1024, 512
EPSILON, ROPE_BASE = 1e-5, 10000.0


def rms_norm(x, gain):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPSILON) * gain


def rotations(length):
    """Complex numbers [length, HEAD / 2]: pair i turns by position / ROPE_BASE^(2 i / HEAD)."""
    turn = ROPE_BASE ** (-torch.arange(0, HEAD, 2, dtype=torch.float32) / HEAD)
    angle = torch.arange(length, dtype=torch.float32)[:, None] * turn[None]
    return torch.polar(torch.ones_like(angle), angle)


def rotate(x, turned):
    pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * turned).flatten(-2)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.attn_norm = nn.Parameter(torch.ones(WIDTH))
        self.ffn_norm = nn.Parameter(torch.ones(WIDTH))
        self.attn_q = nn.Linear(WIDTH, WIDTH, bias=False)
        self.attn_k = nn.Linear(WIDTH, WIDTH, bias=False)
        self.attn_v = nn.Linear(WIDTH, WIDTH, bias=False)
        self.attn_output = nn.Linear(WIDTH, WIDTH, bias=False)
        self.ffn_gate = nn.Linear(WIDTH, HIDDEN, bias=False)
        self.ffn_up = nn.Linear(WIDTH, HIDDEN, bias=False)
        self.ffn_down = nn.Linear(HIDDEN, WIDTH, bias=False)

    def forward(self, x, mask, turned, wanted=None):
        """x [rows, length, WIDTH] → the same, or [positions, WIDTH] of the wanted ones: the last layer need do no more."""
        rows, length, _ = x.shape
        h = rms_norm(x, self.attn_norm)
        weight = torch.cat((self.attn_q.weight, self.attn_k.weight, self.attn_v.weight))
        q, k, v = F.linear(h, weight).view(rows, length, 3, HEADS, HEAD).permute(2, 0, 3, 1, 4)
        scores = rotate(q, turned) @ rotate(k, turned).transpose(-1, -2) * HEAD ** -0.5 + mask
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(rows, length, WIDTH)
        if wanted is not None:
            x, mixed = x.reshape(-1, WIDTH)[wanted], mixed.reshape(-1, WIDTH)[wanted]
        x = x + self.attn_output(mixed)
        h = rms_norm(x, self.ffn_norm)
        return x + self.ffn_down(F.silu(self.ffn_gate(h)) * self.ffn_up(h))


class Ember(nn.Module):
    def __init__(self):
        super().__init__()
        self.token_embd = nn.Embedding(VOCABULARY, WIDTH)
        self.blk = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.output_norm = nn.Parameter(torch.ones(WIDTH))
        nn.init.normal_(self.token_embd.weight, std=0.05)
        for layer in self.blk:
            for name, p in layer.named_parameters():
                if p.dim() == 2:
                    scale = (2 * LAYERS) ** -0.5 if "output" in name or "down" in name else 1.0
                    nn.init.normal_(p, std=scale * p.shape[1] ** -0.5)

    def forward(self, ids, wanted):
        """ids [rows, length] → logits of the wanted positions (indices into the flattened batch)."""
        length = ids.shape[1]
        turned = rotations(length)
        mask = torch.full((length, length), float("-inf")).triu(1)
        x = self.token_embd(ids)
        for layer in self.blk[:-1]:
            x = layer(x, mask, turned)
        x = rms_norm(self.blk[-1](x, mask, turned, wanted), self.output_norm)
        return F.linear(x, self.token_embd.weight)
