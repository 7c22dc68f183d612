#!/usr/bin/env python3
"""Two types of one name in one namespace of one program break it in silence: names what headers define twice."""
import collections
import pathlib
import re
import sys

places = collections.defaultdict(set)
for path in sorted(pathlib.Path("src").rglob("*")):
    if path.suffix not in (".h", ".cpp"):
        continue
    text = re.sub(r"\nnamespace \{\n.*?\n\}  // namespace\n", "\n", path.read_text(), flags=re.S)
    space = re.search(r"^namespace (hearth(?:::\w+)*) \{", text, flags=re.M)
    for kind in re.finditer(r"^(?:class|struct|enum class|union) (\w+)(?: final)?(?: :[^;{]*)? ?\{", text, flags=re.M):
        places[(space.group(1) if space else "", kind.group(1))].add(str(path))

bad = {name: where for name, where in places.items() if len(where) > 1}
for (space, name), where in sorted(bad.items()):
    print(f"{space}::{name} is defined in {' and in '.join(sorted(where))}", file=sys.stderr)
sys.exit(1 if bad else 0)
