#!/usr/bin/env python3
"""What the server itself costs, against a running `hearth serve` (OLLAMA_HOST) and its built-in model.

Prints the time of a request beyond what the scheduler and the worker count themselves, and the processor time of the
server process per streamed token. With a model's name as argument: tokens per second of 1, 4 and 16 clients together
(from the first request to the last answer, prompts included), and how long a running stream waits for its next token
while prompts of others are read.
"""
import http.client
import json
import os
import statistics
import subprocess
import sys
import threading
import time

host = os.environ.get("OLLAMA_HOST", "127.0.0.1:11434")


def ask(connection, **body):
    connection.request("POST", "/api/generate", json.dumps(body))
    return connection.getresponse().read()


def first_token():
    connection = http.client.HTTPConnection(host)
    ask(connection, model="ember", prompt="hi", stream=False)
    beyond = []
    for i in range(300):
        begin = time.perf_counter()
        reply = json.loads(ask(connection, model="ember", prompt=f"What is 1 + {i}?", stream=False, options={"num_predict": 1}))
        beyond.append((time.perf_counter() - begin) * 1e3 - reply["total_duration"] / 1e6)
    print(f"request to first token, beyond the engine's own: median {statistics.median(beyond):.2f} ms, "
          f"95 % below {sorted(beyond)[int(0.95 * len(beyond))]:.2f} ms")


def processor_time(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def per_token():
    pid = int(subprocess.check_output(["pgrep", "-f", "hearth serve"]).split()[0])
    connection = http.client.HTTPConnection(host)
    begin, tokens = processor_time(pid), 0
    for seed in range(60):
        options = {"num_predict": 400, "seed": seed, "temperature": 1, "logit_bias": {"0": -100}}
        tokens += ask(connection, model="ember", prompt="a", raw=True, options=options).count(b"\n")
    print(f"processor time of the server per streamed token: {(processor_time(pid) - begin) / tokens * 1e6:.0f} us")


def together(model, clients, tokens):
    counts = []

    def one(number):
        reply = ask(http.client.HTTPConnection(host), model=model, prompt=f"Tell me story {number}", raw=True, stream=False,
                    options={"num_predict": tokens, "seed": number})
        said = json.loads(reply)
        if "error" in said:
            sys.exit(said["error"])
        counts.append(said["eval_count"])

    begin = time.perf_counter()
    threads = [threading.Thread(target=one, args=(n,)) for n in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return sum(counts) / (time.perf_counter() - begin)


def stream_times(model, arrived, over):
    connection = http.client.HTTPConnection(host)
    # The grammar keeps models of made-up weights from tokens that show nothing.
    options = {"num_predict": 5000, "temperature": 1, "seed": 7, "ignore_eos": True,
               "grammar": "root ::= [a-z]*"}
    connection.request("POST", "/api/generate", json.dumps(dict(model=model, prompt="Once", raw=True, options=options)))
    reply = connection.getresponse()
    while not over.is_set() and reply.readline():
        arrived.append(time.perf_counter())
    connection.close()


def stalls(model, words):
    arrived, tokens, over = [], [], threading.Event()
    stream = threading.Thread(target=stream_times, args=(model, arrived, over))
    stream.start()
    while len(arrived) < 20:
        time.sleep(0.01)
    begin = time.perf_counter()
    for number in range(3):
        prompt = " ".join(f"word{number}{i}" for i in range(words))
        said = json.loads(ask(http.client.HTTPConnection(host), model=model, prompt=prompt, raw=True, stream=False,
                              options={"num_predict": 1}))
        tokens.append(said.get("prompt_eval_count", 0))
    end = time.perf_counter()
    over.set()
    stream.join()
    gaps = sorted(b - a for a, b in zip(arrived, arrived[1:]) if begin <= b <= end)
    if not gaps:
        sys.exit("the stream ended before the prompts were read: use a larger num_predict")
    print(f"while prompts of {tokens} tokens are read ({end - begin:.1f} s): a running stream waits at most "
          f"{gaps[-1] * 1e3:.0f} ms for a token, in the median {statistics.median(gaps) * 1e3:.0f} ms")


if len(sys.argv) > 1:
    together(sys.argv[1], 1, 16)  # loads it
    for tokens in (64, 256):
        rates = [together(sys.argv[1], clients, tokens) for clients in (1, 4, 16)]
        print(f"{tokens} tokens each: 1, 4, 16 clients {', '.join(f'{r:.0f}' for r in rates)} tokens/s; 16 "
              f"against 1: {rates[2] / rates[0]:.2f} x")
    stalls(sys.argv[1], 150)
else:
    first_token()
    per_token()
