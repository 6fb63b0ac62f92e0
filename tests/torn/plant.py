#!/usr/bin/env python3
"""Writes a copy of a source with a fault in it: exactly one occurrence of a text is replaced.

usage: plant.py SOURCE TEXT REPLACEMENT OUTPUT
"""

import sys
from pathlib import Path


def main(arguments):
    if len(arguments) != 4:
        print(__doc__.rstrip().splitlines()[-1], file=sys.stderr)
        return 2
    source, text, replacement, output = arguments
    code = Path(source).read_text(encoding="utf-8")
    if code.count(text) != 1:
        print(f"{source}: '{text}' stands there {code.count(text)} times and not once: the fault cannot be planted", file=sys.stderr)
        return 1
    Path(output).write_text(code.replace(text, replacement), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
