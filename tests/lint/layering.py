#!/usr/bin/env python3
"""Checks that the arrows between the folders of src/ point the way the architecture says.

A folder may include only what the table below allows; the same table stands in ARCHITECTURE.md with the reasons. The folders never
include each other in a circle, and the diagram in ARCHITECTURE.md shows the arrows as they are: each folder once, and every include
points to a lower line. Third-party libraries are fenced in as well: libuv in net/, Mbed TLS in tls/, toml++ in config/. One line
for each offence, then the figures; exit status 1 if there was one. With --self-test it first proves that it finds offences.

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
    "process": {"dns", "config", "metrics", "cache", "relay", "net", "tls", "upstream", "listener"},
    # The kinds of process do not know each other: what they say to each other is in process/.
    "worker": {"dns", "config", "metrics", "cache", "relay", "net", "tls", "upstream", "listener", "process"},
    "supervisor": {"dns", "config", "metrics", "cache", "relay", "net", "tls", "upstream", "listener", "process"},
    "cli": {"dns", "config", "metrics", "cache", "relay", "net", "tls", "upstream", "listener", "process", "supervisor"},
}

LIBRARIES = [
    (re.compile(r"uv\.h$|uv/"), "libuv", "net"),
    (re.compile(r"mbedtls/|psa/"), "Mbed TLS", "tls"),
    (re.compile(r"toml\+\+/|toml\.hpp$"), "toml++", "config"),
]

# The code block under this heading of ARCHITECTURE.md: a line of folders in two columns or more, then words.
DIAGRAM = re.compile(r"^## Layers\n.*?^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FOLDER = re.compile(r"src/(\w+)")

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')
SUFFIXES = {".cpp", ".hpp", ".h", ".c"}


def target_of(source, included, file):
    """The folder of src/ that an include of `file` leads to, or None: a header of the system."""
    if (file.parent / included).is_file():
        return (file.parent / included).resolve().relative_to(source.resolve()).parts[0]
    target = included.split("/")[0]
    return target if (source / target).is_dir() else None


def offence(included, target, folder):
    """Says what is wrong with one include in a file of `folder` (None: a file of src/ itself), or None."""
    for pattern, library, home in LIBRARIES:
        if pattern.match(included):
            return None if folder == home else f"only {home}/ may include {library} (<{included}>)"
    if folder is None or target in (None, folder, "base"):
        return None  # main.cpp puts the layers together
    if target not in MAY_INCLUDE[folder]:
        return f"{folder}/ may not include {target}/ ({included})"
    return None


def circle(arrows):
    """The folders of a circle, the first of them once more at its end; None when there is none."""
    done = set()

    def search(folder, path):
        if folder in path:
            return [*path[path.index(folder):], folder]
        if folder in done:
            return None
        found = None
        for target in sorted(arrows.get(folder, ())):
            found = found or search(target, [*path, folder])
        done.add(folder)
        return found

    return next(filter(None, (search(folder, []) for folder in sorted(arrows))), None)


def judge_diagram(project, arrows):
    """Offences of the diagram of folders. `arrows`: {folder: {included folder: "file:line"}} for all folders of src/."""
    document = project / "ARCHITECTURE.md"
    block = DIAGRAM.search(document.read_text(encoding="utf-8")) if document.is_file() else None
    if not block:
        return ["ARCHITECTURE.md:1: there is no diagram of the folders under \"## Layers\""]
    line_of, wrong = {}, []
    for number, line in enumerate(block[1].splitlines()):
        for folder in FOLDER.findall(line):
            if folder in line_of:
                wrong.append(f"ARCHITECTURE.md:1: src/{folder} stands in the diagram twice")
            line_of[folder] = number
    for folder in sorted(arrows.keys() ^ line_of.keys()):
        wrong.append(f"ARCHITECTURE.md:1: src/{folder} {'is missing in the diagram' if folder in arrows else 'does not exist'}")
    for folder, targets in arrows.items():
        for target, where in targets.items():
            if folder in line_of and line_of[folder] >= line_of.get(target, len(block[1])):
                wrong.append(f"{where}: src/{target} must stand below src/{folder} in the diagram of ARCHITECTURE.md")
    return wrong


def check(project):
    """Returns the number of files read and the list of offences."""
    project = Path(project)
    source = project / "src"
    files = [path for path in sorted(source.rglob("*")) if path.suffix in SUFFIXES]
    offences = []
    arrows = {}
    for file in files:
        parts = file.relative_to(source).parts
        folder = parts[0] if len(parts) > 1 else None
        where = file.relative_to(project)
        if folder is not None and folder not in MAY_INCLUDE:
            offences.append(f"{where}:1: {folder}/ is not in the table of tests/lint/layering.py")
            continue
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            match = INCLUDE.match(line)
            if not match:
                continue
            target = target_of(source, match[2], file)
            wrong = offence(match[2], target, folder)
            if wrong:
                offences.append(f"{where}:{number}: {wrong}")
            elif folder and target not in (None, folder):
                arrows.setdefault(folder, {}).setdefault(target, f"{where}:{number}")
        if folder:
            arrows.setdefault(folder, {})
    if round_trip := circle(arrows):
        offences.append(f"{arrows[round_trip[0]][round_trip[1]]}: a circle of folders: {' -> '.join(round_trip)}")
    return len(files), offences + judge_diagram(project, arrows)


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
        "process/state.cpp": ('#include "listener/tcp.hpp"\n#include "upstream/psa.cpp"', None),
        "process/upper.cpp": ('#include "worker/worker.hpp"', "process/ may not include worker/"),
        "worker/worker.hpp": ('#include "process/state.cpp"', None),
        "worker/sideways.cpp": ('#include "supervisor/supervisor.hpp"', "worker/ may not include supervisor/"),
        "supervisor/supervisor.hpp": ('#include "process/state.cpp"', None),
        "supervisor/sideways.cpp": ('#include "worker/worker.hpp"', "supervisor/ may not include worker/"),
        "misc/new.cpp": ("", "misc/ is not in the table"),
        "main.cpp": ('#include "worker/worker.hpp"', None),
        "other.cpp": ("#include <uv.h>", "only net/ may include libuv"),
    }
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        write_tree(folder, {f"src/{name}": text for name, (text, _) in cases.items()} | {"ARCHITECTURE.md": DRAWN})
        found = {}
        for line in check(folder)[1]:
            found.setdefault(line.split(":")[0].removeprefix("src/"), []).append(line)
        for name, (_, expected) in cases.items():
            lines = found.get(name, [])
            right = not lines if expected is None else len(lines) == 1 and expected in lines[0]
            if not right:
                wrong.append(f"self-test: {name}: expected {expected or 'no offence'}, got {lines or 'no offence'}")
    return wrong + self_test_of_arrows()


# For the trees of the self-tests.
DRAWN = """## Layers

```
 src/worker  src/supervisor  above
 src/process
 src/upstream  src/listener
 src/relay  src/net  src/tls
 src/dns  src/config
 src/base
```
"""


def write_tree(folder, files):
    for name, text in files.items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")


def self_test_of_arrows():
    """Circles of arrows that the table allows one by one, and diagrams that do not show the tree."""
    chain = {"src/process/a.hpp": '#include "relay/b.hpp"', "src/relay/b.hpp": '#include "base/c.hpp"', "src/base/c.hpp": ""}
    drawn = "## Layers\n\n```\n src/process\n src/relay\n src/base\n```\n"
    cases = {
        "as drawn": (drawn, {}, None),
        "upward": (drawn.replace(" src/process\n src/relay\n", " src/relay\n src/process\n"), {}, "src/relay must stand below src/process"),
        "side by side": (drawn.replace(" src/process\n src/relay\n", " src/process  src/relay\n"), {}, "src/relay must stand below src/process"),
        "missing": (drawn.replace(" src/relay\n", ""), {}, "src/relay is missing in the diagram"),
        "gone": (drawn.replace("src/relay", "src/relay  src/net"), {}, "src/net does not exist"),
        "twice": (drawn.replace("src/base", "src/base  src/process"), {}, "src/process stands in the diagram twice"),
        "no diagram": ("# Nothing", {}, "there is no diagram"),
        "circle": (drawn, {"src/base/d.hpp": '#include "relay/b.hpp"'}, "relay/ "),
        "allowed circle": (drawn.replace("src/process", "src/cli\n src/process"),
                           {"src/cli/e.hpp": '#include "process/a.hpp"', "src/process/f.hpp": '#include "cli/e.hpp"'},
                           "a circle of folders: cli -> process -> cli"),
    }
    # By way of a third folder.
    cases["long circle"] = (drawn.replace("src/process", "src/cli\n src/supervisor\n src/process"),
                            {"src/cli/e.hpp": '#include "supervisor/s.hpp"', "src/supervisor/s.hpp": '#include "process/a.hpp"',
                             "src/process/f.hpp": '#include "cli/e.hpp"'},
                            "a circle of folders: cli -> supervisor -> process -> cli")
    wrong = []
    table = MAY_INCLUDE["process"]
    for name, (document, more, expected) in cases.items():
        MAY_INCLUDE["process"] = table | {"cli"} if "circle" in name else table
        with tempfile.TemporaryDirectory() as folder:
            write_tree(folder, chain | more | {"ARCHITECTURE.md": document})
            lines = check(folder)[1]
        if not (any(expected in line for line in lines) if expected else not lines):
            wrong.append(f"self-test: {name}: expected {expected or 'no offence'}, got {lines or 'no offence'}")
    MAY_INCLUDE["process"] = table
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
