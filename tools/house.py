# SPDX-License-Identifier: Apache-2.0
"""What the check-* tools share: which files are ours, and C text without comments and strings."""

import os
import re
import sys

sys.dont_write_bytecode = True

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TREES = ("src", "tests", "bench", "tools", ".ci")
SKIPPED_DIRS = {"node_modules", "__pycache__", "corpus", "build", ".git", "vendor"}


def files(*suffixes, trees=TREES):
    """Paths relative to the root, sorted, of files whose name ends with one of `suffixes`."""
    found = []
    for tree in trees:
        for folder, dirs, names in os.walk(os.path.join(ROOT, tree)):
            dirs[:] = [d for d in dirs if d not in SKIPPED_DIRS]
            for name in names:
                path = os.path.join(folder, name)
                if name.endswith(suffixes) and not os.path.islink(path):
                    found.append(os.path.relpath(path, ROOT))
    return sorted(found)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as f:
        return f.read()


def is_generated(path):
    return ".gen." in os.path.basename(path)


_NOT_CODE = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|' r"'(?:\\.|[^'\\\n])*'", re.DOTALL
)


def code_only(text):
    """C text with comments and literals blanked; line numbers stay."""
    return _NOT_CODE.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def finish(what, problems, checked):
    """Print the problems and leave with the status that lint and CI expect."""
    for problem in problems:
        print(problem)
    print(f"{what}: {checked} checked, {len(problems)} wrong")
    sys.exit(1 if problems else 0)
