"""Writes a checkpoint as ember.gguf.

    python3 export.py --out DIR [--file ember.gguf]
"""
import argparse
import os

import torch

import gguf
import model
import tokenizer as tk

HERE = os.path.dirname(os.path.abspath(__file__))

# A system message is left out: ember was never trained with one and would only be confused by it.
TEMPLATE = """{%- for message in messages -%}
{%- if message['role'] == 'user' -%}{{ '<|user|>' + message['content'] | trim }}
{%- elif message['role'] == 'assistant' -%}{{ '<|assistant|>' + message['content'] | trim + '<|end|>' }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}"""

DESCRIPTION = ("hearth's built-in help model. About 3.3 million parameters, trained from scratch on questions about hearth: it answers "
               "those in simple English, adds and subtracts numbers from 0 to 99, and knows nothing else. It can be wrong. "
               "System messages are ignored.")


def metadata(tokens):
    normal, control = 1, 3
    types = [control if t in tk.SPECIAL else normal for t in tokens.tokens]
    s, u, f = gguf.STRING, gguf.U32, gguf.F32
    return [
        ("general.architecture", s, "llama"), ("general.type", s, "model"), ("general.name", s, "ember"),
        ("general.basename", s, "ember"), ("general.size_label", s, "3M"), ("general.description", s, DESCRIPTION),
        ("general.license", s, "mit"), ("general.file_type", u, 7), ("general.quantization_version", u, 2),
        ("general.sampling.temp", f, 0.0),  # always the likeliest token: a sum has one answer
        ("llama.block_count", u, model.LAYERS), ("llama.context_length", u, model.CONTEXT),
        ("llama.embedding_length", u, model.WIDTH), ("llama.vocab_size", u, model.VOCABULARY),
        ("llama.feed_forward_length", u, model.HIDDEN), ("llama.attention.head_count", u, model.HEADS),
        ("llama.attention.head_count_kv", u, model.HEADS), ("llama.attention.layer_norm_rms_epsilon", f, model.EPSILON),
        ("llama.rope.dimension_count", u, model.HEAD), ("llama.rope.freq_base", f, model.ROPE_BASE),
        ("tokenizer.ggml.model", s, "gpt2"), ("tokenizer.ggml.pre", s, "smollm"),
        ("tokenizer.ggml.tokens", gguf.ARRAY, (s, tokens.tokens)),
        ("tokenizer.ggml.token_type", gguf.ARRAY, (gguf.I32, types)),
        ("tokenizer.ggml.merges", gguf.ARRAY, (s, [f"{a} {b}" for a, b in tokens.merges])),
        ("tokenizer.ggml.eos_token_id", u, tk.END), ("tokenizer.ggml.padding_token_id", u, tk.END),
        ("tokenizer.ggml.add_bos_token", gguf.BOOL, False), ("tokenizer.ggml.add_eos_token", gguf.BOOL, False),
        ("tokenizer.chat_template", s, TEMPLATE),
    ]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True, help="the folder given to train.py")
    parser.add_argument("--file", default=os.path.join(HERE, "ember.gguf"))
    args = parser.parse_args()
    tokens = tk.Tokenizer.load(os.path.join(args.out, "tokenizer.json"))
    state = torch.load(os.path.join(args.out, "checkpoint.pt"), map_location="cpu")
    tensors = []
    for name, value in state["net"].items():
        name = name if name.endswith(".weight") else name + ".weight"
        tensors.append((name, value.numpy()))
    gguf.write(args.file, metadata(tokens), tensors)
    print(f"{args.file}: {os.path.getsize(args.file)} bytes, step {state['step']}")


if __name__ == "__main__":
    main()
