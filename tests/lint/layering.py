#!/usr/bin/env python3
"""Checks that the arrows between the folders of src/ point the way the architecture says.

A folder is a layer and may include only what the table below allows; the same table stands in ARCHITECTURE.md with the
reasons. Third-party libraries are fenced in as well: libuv in net/, Mbed TLS in tls/, toml++ in config/. One line for each
offence, then the figures; exit status 1 if there was one. With --self-test it first proves that it finds offences.

usage: layering.py [--self-test] PROJECT
"""

import re
import sys
import tempfile
from pathlib import Path

# Every folder may also include itself and base.
MAY_INCLUDE = {
    "base": set(),
    "dns": set(),
    "config": set(),
    "metrics": set(),
    "cache": {"dns"},
    "relay": {"dns", "cache", "config", "metrics"},
    "net": set(),
    "tls": set(),
    "upstream": {"relay", "dns", "net", "tls", "config", "metrics"},
    "listener": {"relay", "dns", "net", "config", "metrics"},
    "process": {"dns", "config", "metrics", "cache", "relay", "net", "tls", "upstream", "listener", "cli"},
    "cli": {"dns", "config", "metrics", "cache", "relay", "net", "tls", "upstream", "listener", "process"},
}

LIBRARIES = [
    (re.compile(r"uv\.h$|uv/"), "libuv", "net"),
    (re.compile(r"mbedtls/|psa/"), "Mbed TLS", "tls"),
    (re.compile(r"toml\+\+/|toml\.hpp$"), "toml++", "config"),
]

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')
SUFFIXES = {".cpp", ".hpp", ".h", ".c"}


def offence(source, included, folder, file):
    """Says what is wrong with one include in a file of `folder` (None: a file of src/ itself), or None."""
    for pattern, library, home in LIBRARIES:
        if pattern.match(included):
            return None if folder == home else f"only {home}/ may include {library} (<{included}>)"
    if folder is None:
        return None  # main.cpp puts the layers together
    if (file.parent / included).is_file():
        target = (file.parent / included).resolve().relative_to(source.resolve()).parts[0]
    else:
        target = included.split("/")[0]
    if target == folder or target == "base" or not (source / target).is_dir():
        return None  # of its own layer, or a header of the system
    if target not in MAY_INCLUDE[folder]:
        return f"{folder}/ may not include {target}/ ({included})"
    return None


def check(project):
    """Returns the number of files read and the list of offences."""
    source = Path(project) / "src"
    files = [path for path in sorted(source.rglob("*")) if path.suffix in SUFFIXES]
    offences = []
    for file in files:
        parts = file.relative_to(source).parts
        folder = parts[0] if len(parts) > 1 else None
        where = file.relative_to(project)
        if folder is not None and folder not in MAY_INCLUDE:
            offences.append(f"{where}:1: {folder}/ is not in the table of tests/lint/layering.py")
            continue
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            match = INCLUDE.match(line)
            wrong = match and offence(source, match[2], folder, file)
            if wrong:
                offences.append(f"{where}:{number}: {wrong}")
    return len(files), offences


def self_test():
    """Judges a small tree of right and wrong includes. Returns a line for each file that was judged wrongly."""
    cases = {
        "base/a.hpp": ("#include <vector>", None),
        "base/b.hpp": ('#include "dns/name.hpp"', "base/ may not include dns/"),
        "dns/name.hpp": ('#include "base/a.hpp"', None),
        "relay/forwarder.cpp": ('#include "dns/name.hpp"', None),
        "relay/bad.cpp": ('#include "net/stream.hpp"', "relay/ may not include net/"),
        "relay/sideways.cpp": ('  #  include "../net/stream.hpp"', "relay/ may not include net/"),
        "relay/loop.cpp": ("#include <uv.h>", "only net/ may include libuv"),
        "listener/tls.cpp": ("#include <mbedtls/ssl.h>", "only tls/ may include Mbed TLS"),
        "upstream/psa.cpp": ("#include <psa/crypto.h>", "only tls/ may include Mbed TLS"),
        "relay/secret.cpp": ('#include "tls/session.hpp"', "relay/ may not include tls/"),
        "net/stream.hpp": ("#include <uv.h>", None),
        "net/ssl.cpp": ("#include <mbedtls/ssl.h>", "only tls/ may include Mbed TLS"),
        "net/upper.cpp": ('#include "tls/session.hpp"', "net/ may not include tls/"),
        "tls/session.hpp": ("#include <mbedtls/ssl.h>\n#include <psa/crypto.h>", None),
        "tls/stream.cpp": ('#include "net/stream.hpp"', "tls/ may not include net/"),
        "tls/loop.cpp": ("#include <uv.h>", "only net/ may include libuv"),
        "net/config.cpp": ("#include <toml++/toml.h>", "only config/ may include toml++"),
        "config/parser.cpp": ("#include <toml++/toml.h>", None),
        "process/worker.cpp": ('#include "listener/tcp.hpp"\n#include "upstream/psa.cpp"', None),
        "misc/new.cpp": ("", "misc/ is not in the table"),
        "main.cpp": ('#include "process/worker.cpp"', None),
        "other.cpp": ("#include <uv.h>", "only net/ may include libuv"),
    }
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (text, _) in cases.items():
            path = Path(folder) / "src" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n", encoding="utf-8")
        found = {}
        for line in check(folder)[1]:
            found.setdefault(line.split(":")[0][len("src/"):], []).append(line)
        for name, (_, expected) in cases.items():
            lines = found.get(name, [])
            right = not lines if expected is None else len(lines) == 1 and expected in lines[0]
            if not right:
                wrong.append(f"self-test: {name}: expected {expected or 'no offence'}, got {lines or 'no offence'}")
    return wrong


def main(arguments):
    checks = {}
    if "--self-test" in arguments:
        arguments.remove("--self-test")
        checks["self-test"] = self_test()
    if len(arguments) != 1:
        print(__doc__.rstrip().splitlines()[-1], file=sys.stderr)
        return 2
    count, offences = check(Path(arguments[0]))
    checks["layering"] = offences if count else ["no source file was found"]
    for line in (line for lines in checks.values() for line in lines):
        print(line)
    failed = sum(1 for lines in checks.values() if lines)
    print(f"{len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
