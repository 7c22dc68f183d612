#!/usr/bin/env python3
"""Each file includes what it uses: a precompiled header hides a missing include from the compiler, so names of the outside
libraries in it are looked up here. A name counts as provided when the file, or a header of hearth that it includes
(directly or not), includes a header that declares it. Usage: scripts/includes.py [FILE...] (default: all sources)"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Headers that declare it, and what a use looks like. Only what cmake/precompiled.h includes.
ALGORITHMS = ("all_of any_of none_of find_if find_if_not count_if copy_n fill_n sort stable_sort partial_sort nth_element"
              " lower_bound upper_bound equal_range binary_search max_element min_element minmax_element clamp reverse rotate"
              " shuffle transform remove_if set_difference set_intersection includes is_sorted ranges::\\w+")
TABLE = [
    ("algorithm", r"std::(%s)\b" % "|".join(ALGORITHMS.split())),
    ("array", r"std::array\b"),
    ("atomic", r"std::atomic(_\w+)?\b"),
    ("chrono", r"std::chrono\b"),
    ("cmath", r"std::(sqrt|exp|exp2|log|log2|pow|tanh|sin|cos|floor|ceil|round|lround|fabs|isnan|isinf|isfinite|fma|ldexp|erf)\b"),
    ("condition_variable", r"std::condition_variable\b"),
    ("cstring", r"std::(mem(cpy|cmp|set|move|chr)|str(len|cmp|error|signal))\b"),
    ("deque", r"std::deque\b"),
    ("filesystem", r"std::filesystem\b"),
    ("fstream", r"std::(i|o)?fstream\b"),
    ("functional", r"std::(function|reference_wrapper|hash)\b"),
    ("limits", r"std::numeric_limits\b"),
    ("map", r"std::(multi)?map\b"),
    ("memory", r"std::(unique_ptr|shared_ptr|weak_ptr|make_unique|make_shared|enable_shared_from_this)\b"),
    ("mutex", r"std::(mutex|lock_guard|scoped_lock|unique_lock|once_flag|call_once)\b"),
    ("numeric", r"std::(accumulate|iota|inner_product|partial_sum|gcd|lcm)\b"),
    ("optional", r"std::(optional|nullopt)\b"),
    ("random", r"std::(mt19937(_64)?|uniform_\w+_distribution|normal_distribution|random_device)\b"),
    ("set", r"std::(multi)?set\b"),
    ("span", r"std::(span|as_bytes|as_writable_bytes)\b"),
    ("sstream", r"std::(i|o)?stringstream\b"),
    ("string", r"std::(string|to_string|stoi|stoul|stod|getline)\b"),
    ("string_view", r"std::string_view\b"),
    ("thread", r"std::(thread|jthread|this_thread)\b"),
    ("unordered_map", r"std::unordered_map\b"),
    ("variant", r"std::(variant|visit|get_if|holds_alternative|monostate)\b"),
    ("vector", r"std::vector\b"),
    ("boost/json.hpp", r"\b(boost::)?json::(value|object|array|string|parse|serialize|kind)\b"),
    ("fmt/format.h", r"\bfmt::(format|format_to|to_string|runtime|memory_buffer|format_error)\b"),
]
# What one header of the standard brings along by its own definition, or in every library that hearth is built with.
BRINGS = {
    "string": {"string_view"},
    "fstream": {"string"}, "sstream": {"string"}, "filesystem": {"string"},
    "condition_variable": {"mutex"},
    "fmt/ranges.h": {"fmt/format.h"},
    "gmock/gmock.h": {"gtest/gtest.h"},
    "gtest/gtest.h": {"memory", "string", "vector"},
}
INCLUDE = re.compile(r'^#include ([<"])([^>"]+)[>"]', re.M)
NOISE = re.compile(r'R"\((?:.|\n)*?\)"|"(?:\\.|[^"\\\n])*"|//[^\n]*')  # strings and comments


def project_header(file, name):
    for folder in (ROOT / "src", ROOT / "tests", ROOT / "tests" / "worker", file.parent):
        if (folder / name).is_file():
            return folder / name
    return None


def provided(file, known):
    """The outside headers that a file has included, through headers of hearth too."""
    if file in known:
        return known[file]
    known[file] = found = set()
    for mark, name in INCLUDE.findall(file.read_text()):
        if mark == "<":
            found |= {name} | BRINGS.get(name, set())
        elif header := project_header(file, name):
            found |= provided(header, known)
    return found


def main():
    files = [pathlib.Path(name).resolve() for name in sys.argv[1:]] or [
        ROOT / name for name in subprocess.run(
            ["git", "ls-files", "src/*.cpp", "src/*.h", "tests/*.cpp", "tests/*.h", "fuzz/*.cpp", "bench/*.cpp"],
            cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()]
    known, status = {}, 0
    for file in files:
        text = NOISE.sub("", file.read_text())
        have = provided(file, known)
        for header, pattern in TABLE:
            if header not in have and (use := re.search(pattern, text)):
                print(f"{file.relative_to(ROOT)}: uses {use.group(0)}, which nothing that it includes declares: <{header}>")
                status = 1
    sys.exit(status)


main()
