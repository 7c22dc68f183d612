#!/usr/bin/env python3
"""clang-tidy on many files at a bearable price. Most of its time goes into the headers that a file includes, so files with the same
flags, and without a name in common, are checked as one. What does not go together after all is halved until it does.
Usage: scripts/tidy.py BUILD_FOLDER FILE..."""
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
MOST = 12  # files together: their findings come late otherwise

INCLUDE = re.compile(r"^#include .*$", re.M)
# Clang 14 analyses a coroutine as if it were a function, and finds null pointers in Asio, as behind every asio::post.
ASIO = re.compile(r"\bco_(await|return|yield)\b|\basio::post\b")


def names(text):
    """What a file declares at the left margin; too many rather than too few."""
    found = set()
    for line in text.splitlines():
        if not line or not (line[0].isalpha() or line[0] == "_") or line.startswith(("namespace", "template", "using namespace")):
            continue
        head = re.split(r"[({=;\[]| final| : ", line, maxsplit=1)[0]
        words = re.findall(r"(?:\w+::)*\w+", head)
        if words:
            found.add(words[-1])
    found.update(re.findall(r"^#define (\w+)", text, re.M))
    return found


def flags(entry):
    """The command without what belongs to one file."""
    words = shlex.split(entry["command"])[1:]
    kept, skip = [], False
    for word in words:
        if skip or word in ("-c", entry["file"]):
            skip = False
        elif word == "-o":
            skip = True
        else:
            kept.append(word)
    return tuple(kept)


def batches(files, commands):
    """Lists of files that can be checked together."""
    groups = collections.defaultdict(list)
    for file in files:
        text = (ROOT / file).read_text()
        key = (flags(commands[file]), bool(ASIO.search(text)))
        declared = names(text)
        if "-mavx" in " ".join(key[0]):  # kernels share templates in unnamed namespaces
            groups[key].append(([file], declared))
            continue
        for batch, taken in groups[key]:
            if len(batch) < MOST and not taken & declared:
                batch.append(file)
                taken |= declared
                break
        else:
            groups[key].append(([file], declared))
    return [(batch, key) for key, of_key in groups.items() for batch, _ in of_key]


def together(files, folder):
    """One file of the text of all: the analyser looks at no function of a file that is included. Also where each begins."""
    source, starts, line, included = pathlib.Path(folder) / "together.cpp", [], 0, set()
    with source.open("w") as out:
        for file in files:
            text = (ROOT / file).read_text()
            before = frozenset(included)  # what is included again was not by the same file
            included |= set(INCLUDE.findall(text))
            text = INCLUDE.sub(lambda m: "" if m.group(0) in before else m.group(0), text)
            starts.append((line, file))
            line += text.count("\n")
            out.write(text)
    return str(source), starts


def in_its_file(text, source, starts):
    """Findings with the places that they have outside of the common file."""
    def place(match):
        line = int(match.group(1))
        start, file = max(s for s in starts if s[0] < line)
        return f"{file}:{line - start}"
    return re.sub(re.escape(source) + r":(\d+)", place, text)


def run(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def check(batch):
    """Prints the findings in these files, with as few runs as they allow; true: there are some."""
    files, (switches, asio) = batch
    with tempfile.TemporaryDirectory() as folder:
        source, starts = together(files, folder)
        if len(files) > 1 and run("clang++", "-fsyntax-only", "-w", *switches, source).returncode != 0:
            half = len(files) // 2
            return check((files[:half], batch[1])) | check((files[half:], batch[1]))
        checks = ["--checks=-clang-analyzer-*"] if asio else []
        done = run("clang-tidy", "--quiet", f"--config-file={ROOT / '.clang-tidy'}", *checks, source, "--", *switches, "-w")
    found = in_its_file(done.stdout or done.stderr, source, starts) if done.returncode != 0 else ""
    print(f"tidy: {len(files)} file(s) from {files[0]} on: {'findings' if found else 'clean'}", file=sys.stderr)
    print(found, end="", flush=True)
    return bool(found)


def main():
    build = pathlib.Path(sys.argv[1])
    entries = json.loads((build / "compile_commands.json").read_text())
    commands = {os.path.relpath(e["file"], ROOT): e for e in entries}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
        return 1 if sum(threads.map(check, batches(sys.argv[2:], commands))) else 0


if __name__ == "__main__":
    sys.exit(main())
