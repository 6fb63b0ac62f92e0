"""./dev and the manifests' checks as their users call them: help costs nothing, and two builds at once are two good builds. Package managers and compilers are fakes."""
import shutil
import subprocess

import pytest

from support.relay import PROJECT


@pytest.fixture
def checkout(tmp_path):
    """A copy of the script in a folder of its own, with a PATH on which apt, meson and ninja only leave a trace."""
    folder = tmp_path / "checkout"
    for part in ("dev", "packaging/setup/packages.sh", "bench", "tests/faults", "tests/support"):
        source, target = PROJECT / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy2(source, target)
    fakes = {
        folder / "packaging/setup/fetch-mbedtls": "",
        # Nothing is installed, and what would be is written down.
        tmp_path / "bin/dpkg-query": "exit 1",
        tmp_path / "bin/apt-get": f'echo "apt-get $*" >> {tmp_path}/trace; exit 1',
        tmp_path / "bin/meson": f'echo "meson $*" >> {tmp_path}/trace; sleep 0.4; mkdir -p "$2" && touch "$2/build.ninja"',
        tmp_path / "bin/ninja": f'echo "ninja $*" >> {tmp_path}/trace; sleep 0.2; [ -e "$2/build.ninja" ] && mkdir -p "$2/src" && touch "$2/src/dotrelay"',
    }
    for path, text in fakes.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
    poison = tmp_path / "python/dns/__init__.py"
    poison.parent.mkdir(parents=True)
    poison.write_text("raise ImportError('no such package here')\n")
    return folder


def run(checkout, *arguments, installed=False):
    scratch = checkout.parent
    query, answers = scratch / "bin/dpkg-query", '#!/bin/sh\nshift 2\nshift\nprintf "installed %s\\n" "$@"\n'
    if installed and query.read_text() != answers:   # not while another ./dev may run it
        query.write_text(answers)
    environment = {"PATH": f"{scratch}/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(scratch), "PYTHONPATH": str(scratch / "python")}
    return subprocess.Popen(["bash", str(checkout / "dev"), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def trace(checkout):
    path = checkout.parent / "trace"
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize("command", ["bench --help", "faults -h", "faults --quick --help", "bench micro --help", "test --help", "build --help", "sim --help",
                                     "fuzz --help", "image --help", "asan --help", "demo --help", "run --help", "help"])
def test_help_installs_and_builds_nothing(checkout, command):
    process = run(checkout, *command.split())
    output = process.communicate(timeout=20)[0]
    assert process.returncode == 0 and "usage: ./dev" in output, output
    assert trace(checkout) == [] and not (checkout / "build").exists()


def test_two_builds_at_once(checkout):
    """The second waits, says so, and finds its work done."""
    first, second = (run(checkout, "build", installed=True) for _ in range(2))
    outputs = [process.communicate(timeout=30)[0] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], outputs
    assert any("another ./dev is building here; waiting for it" in output for output in outputs), outputs
    assert sum(line.startswith("meson setup") for line in trace(checkout)) == 1, trace(checkout)


@pytest.mark.parametrize("trusted", [True, False])
def test_manifest_checks_trust_the_systems_authorities(tmp_path, trusted):
    """npm, which brings CAs of its own, is told of the system's; where that is not enough the user hears what to do."""
    folder = tmp_path / "manifests"
    shutil.copytree(PROJECT / "tests/manifests", folder, ignore=shutil.ignore_patterns("node_modules"))
    (tmp_path / "bin").mkdir()
    install = "[ -r \"$NODE_EXTRA_CA_CERTS\" ]" if trusted else "false"
    for name, text in {"npm": install, "node": 'echo "node $*"'}.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    done = subprocess.run(["bash", str(folder / "run")], capture_output=True, text=True, timeout=20, env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"})
    assert done.returncode == 0, done.stderr
    assert ("--no-types" in done.stdout) == (not trusted), done.stdout
    assert ("NODE_EXTRA_CA_CERTS=FILE" in done.stderr) == (not trusted), done.stderr
