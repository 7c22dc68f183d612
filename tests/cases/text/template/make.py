"""Writes engine.json and chats.json: what Jinja2 itself says about the templates of engine.txt and chats/.

Needs jinja2 3.1. The environment is the one of chat templates: trim_blocks, lstrip_blocks, loop controls, the tag
`generation`, tojson without HTML escapes, raise_exception, and a clock that stands still.
"""

import copy
import datetime
import json
import pathlib
import re

from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.sandbox import SandboxedEnvironment

HERE = pathlib.Path(__file__).parent
NOW = datetime.datetime(2026, 1, 24, 10, 20, 30)
# What prints an address, or what hearth refuses or allows on purpose.
SKIP = re.compile(r"<(generator|built-in|Macro|function|bound)|object at|lambda|complex|[0-9]j\)")


class Raised(Exception):
    pass


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_text"), [], [], body).set_lineno(line)

    def _text(self, caller):
        return caller()


def raise_exception(message):
    raise Raised(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = SandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", Generation]
    )
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


def outcome(template, context):
    try:
        return {"expected": environment().from_string(template).render(**copy.deepcopy(context))}
    except Raised as error:
        return {"error": "raised", "message": str(error)}
    except Exception as error:  # noqa: BLE001 - any failure is the expected outcome
        return {"error": type(error).__name__}


def write(name, data):
    (HERE / name).write_text(json.dumps(data, ensure_ascii=False, indent=0) + "\n")


def main():
    context = json.loads((HERE / "context.json").read_text())
    templates = (HERE / "engine.txt").read_text().rstrip("\n").split("\n---\n")
    cases = [{"template": each, **outcome(each, context)} for each in templates]
    cases = [each for each in cases if not SKIP.search(each.get("expected", ""))]
    write("engine.json", {"context": context, "cases": cases})
    chats = []
    conversations = json.loads((HERE / "conversations.json").read_text())
    for path in sorted(HERE.glob("*.jinja")):
        for name, chat in conversations.items():
            chats.append({"template": path.name, "name": name, **outcome(path.read_text(), chat)})
    write("chats.json", chats)


if __name__ == "__main__":
    main()
