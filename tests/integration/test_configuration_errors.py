"""Errors before the start: one clear line with the position, the right exit status, and nothing started."""
import os
import re
import subprocess

import pytest

from support.ports import is_free
from support.relay import binary, run_binary

PORT = 9876   # never bound: every configuration here is refused
GOOD = """[listen]
addresses = ["127.0.0.1:{port}"]
[[upstream]]
name = "one"
addresses = ["127.0.0.1:8853"]
tls_name = "upstream.test"
"""
UPSTREAM = '[[upstream]]\nname = "one"\naddresses = ["127.0.0.1"]\ntls_name = "upstream.test"\n'

# name: (text, line where a position is expected or None, words that must appear)
CASES = {
    "unknown key": (UPSTREAM + '[relay]\ndeadlin = "4s"\n', 6, ["deadlin", "deadline"]),
    "unknown key in listen": ('[listen]\nadresses = ["127.0.0.1:53"]\n' + UPSTREAM, 2, ["adresses", "addresses"]),
    "unknown key in upstream": (UPSTREAM + 'tls_nam = "x"\n', 5, ["tls_nam", "tls_name"]),
    "unknown table": (UPSTREAM + "[limit]\ntcp_clients = 5\n", 5, ["limit", "limits"]),
    "planned key": (UPSTREAM + '[relay]\npolicy = "random"\n', 6, ["policy"]),
    "planned table": (UPSTREAM + "[status]\nlisten = 1\n", 5, ["status"]),
    "wrong type, number for text": (UPSTREAM + "[relay]\ndeadline = 4\n", 6, ["deadline"]),
    "wrong type, text for number": ('[listen]\nworkers = "two"\n' + UPSTREAM, 2, ["workers"]),
    "wrong type, text for list": ('[listen]\naddresses = "127.0.0.1:53"\n' + UPSTREAM, 2, ["addresses"]),
    "wrong type in a list": ("[listen]\nallow = [1]\n" + UPSTREAM, 2, ["allow"]),
    "wrong type, number for bool": ("[listen]\nshare_port = 1\n" + UPSTREAM, 2, ["share_port"]),
    "wrong type, fraction": ("[listen]\nworkers = 1.5\n" + UPSTREAM, 2, ["workers"]),
    "table for a key": (UPSTREAM + "[relay.deadline]\nx = 1\n", 5, ["deadline"]),
    "upstream is one table": ('[upstream]\nname = "one"\naddresses = ["127.0.0.1"]\ntls_name = "a.test"\n', 1, ["upstream"]),
    "workers below range": ("[listen]\nworkers = -1\n" + UPSTREAM, 2, ["workers", "256"]),
    "workers above range": ("[listen]\nworkers = 257\n" + UPSTREAM, 2, ["workers", "256"]),
    "deadline below range": (UPSTREAM + '[relay]\ndeadline = "99ms"\n', 6, ["deadline", "100ms"]),
    "deadline above range": (UPSTREAM + '[relay]\ndeadline = "2m"\n', 6, ["deadline", "60s|1m"]),
    "duration without unit": (UPSTREAM + '[relay]\ndeadline = "4"\n', 6, ["deadline"]),
    "duration with a wrong unit": (UPSTREAM + '[relay]\ndeadline = "4 weeks"\n', 6, ["deadline"]),
    "duration that overflows": (UPSTREAM + '[relay]\ndeadline = "99999999999999999999h"\n', 6, ["deadline"]),
    "no clients": (UPSTREAM + "[limits]\ntcp_clients = 0\n", 6, ["tcp_clients"]),
    "log level": (UPSTREAM + '[log]\nlevel = "verbose"\n', 6, ["level", "debug", "info", "warning", "error"]),
    "no upstream": ('[listen]\naddresses = ["127.0.0.1:53"]\n', None, ["upstream"]),
    "empty file": ("", None, ["upstream"]),
    "empty upstream list": ("upstream = []\n", None, ["upstream"]),
    "upstream without name": ('[[upstream]]\naddresses = ["127.0.0.1"]\ntls_name = "a.test"\n', 1, ["name"]),
    "upstream without addresses": ('[[upstream]]\nname = "a"\ntls_name = "a.test"\n', 1, ["addresses"]),
    "upstream with an empty address list": ('[[upstream]]\nname = "a"\naddresses = []\ntls_name = "a.test"\n', 3, ["addresses"]),
    "upstream without tls_name": ('[[upstream]]\nname = "a"\naddresses = ["127.0.0.1"]\n', 1, ["tls_name"]),
    "empty tls_name": ('[[upstream]]\nname = "a"\naddresses = ["127.0.0.1"]\ntls_name = ""\n', 4, ["tls_name"]),
    "upstream address is a name": ('[[upstream]]\nname = "a"\naddresses = ["dns.example"]\ntls_name = "a.test"\n', 3, ["dns.example"]),
    "upstream address with a bad port": ('[[upstream]]\nname = "a"\naddresses = ["127.0.0.1:99999"]\ntls_name = "a.test"\n', 3, ["99999"]),
    "upstream port 0": ('[[upstream]]\nname = "a"\naddresses = ["127.0.0.1:0"]\ntls_name = "a.test"\n', 3, ["127.0.0.1:0"]),
    "second address is bad": ('[[upstream]]\nname = "a"\naddresses = [\n "127.0.0.1",\n "256.1.1.1"]\ntls_name = "a.test"\n', 5, ["256.1.1.1"]),
    "listen address is bad": ('[listen]\naddresses = ["127.0.0.1.5:53"]\n' + UPSTREAM, 2, ["127.0.0.1.5:53"]),
    "multicast listen address": ('[listen]\naddresses = ["224.0.0.1:53"]\n' + UPSTREAM, 2, ["224.0.0.1:53", "multicast"]),
    "link-local without interface": ('[listen]\naddresses = ["[fe80::1]:53"]\n' + UPSTREAM, 2, ["[fe80::1]:53", "interface"]),
    "multicast upstream": ('[[upstream]]\nname = "a"\naddresses = ["ff02::1"]\ntls_name = "a.test"\n', 3, ["ff02::1", "multicast"]),
    "upstream is no server": ('[[upstream]]\nname = "a"\naddresses = ["0.0.0.0"]\ntls_name = "a.test"\n', 3, ["0.0.0.0"]),
    "upstream is the relay": ('[listen]\naddresses = ["127.0.0.1:853"]\n' + UPSTREAM, 5, ["127.0.0.1:853", "is the relay itself"]),
    "no listen address": ("[listen]\naddresses = []\n" + UPSTREAM, 2, ["addresses"]),
    "bad CIDR length": ('[listen]\nallow = ["10.0.0.0/33"]\n' + UPSTREAM, 2, ["10.0.0.0/33"]),
    "bad CIDR word": ('[listen]\nallow = ["everyone"]\n' + UPSTREAM, 2, ["everyone", "loopback"]),
    "bad CIDR address": ('[listen]\nallow = ["10.0.0/8"]\n' + UPSTREAM, 2, ["10.0.0/8"]),
    "duplicate upstream name": (UPSTREAM + UPSTREAM, 6, ["one"]),
    "missing CA file": (UPSTREAM + 'ca_file = "/nonexistent/ca.pem"\n', 5, ["/nonexistent/ca.pem", "[Nn]o such file"]),
    "pin without prefix": (UPSTREAM + 'pins = ["AAAA"]\n', 5, ["AAAA", "sha256/"]),
    "pin of a wrong length": (UPSTREAM + 'pins = ["sha256/AAAA"]\n', 5, ["sha256/AAAA"]),
    "pin that is no base64": (UPSTREAM + f'pins = ["sha256/{"!" * 43}="]\n', 5, ["pin"]),
    "zone with an unknown upstream": (UPSTREAM + '[[zone]]\nnames = ["a.b"]\nupstreams = ["onw"]\n', 7, ["onw", 'mean "one"']),
    "zone with both": (UPSTREAM + '[[zone]]\nnames = ["a.b"]\nupstreams = ["one"]\nanswer = "nodata"\n', 8, ["a.b", "upstreams"]),
    "zone with neither": (UPSTREAM + '[[zone]]\nnames = ["a.b"]\n', 6, ["a.b", "upstreams", "answer"]),
    "zone without names": (UPSTREAM + '[[zone]]\nanswer = "nodata"\n', 5, ["names"]),
    "zone of the root": (UPSTREAM + '[[zone]]\nnames = ["."]\nupstreams = ["one"]\n', 6, ["every name", "[[upstream]]"]),
    "name in two zones": (UPSTREAM + '[[zone]]\nnames = ["a"]\nanswer = "nodata"\n[[zone]]\nnames = ["A."]\nanswer = "nodata"\n', 9, ["line 6"]),
    "name beyond ASCII": (UPSTREAM + '[[zone]]\nnames = ["b\u00fccher.example"]\nanswer = "nodata"\n', 6, ["A-label", "xn--"]),
    "all upstreams for zones": (UPSTREAM + 'zone_only = true\n[[zone]]\nnames = ["a"]\nupstreams = ["one"]\n', 5, ["zone_only"]),
    "syntax error": (UPSTREAM + "[relay\n", 5, []),
    "syntax error in a value": ('[listen]\nworkers = = 2\n' + UPSTREAM, 2, []),
    "key given twice": ("[listen]\nworkers = 1\nworkers = 2\n" + UPSTREAM, 3, ["workers"]),
    "open string": ('[listen]\naddresses = ["127.0.0.1\n', 2, []),
    "not UTF-8": ("[listen]\n# \udcff\udcfe\n" + UPSTREAM, None, []),
}


def refused(path, *arguments):
    """The one line that `arguments` print about the file at `path`."""
    result = run_binary(*arguments)
    lines = result.stderr.splitlines()
    assert result.returncode == 1 and result.stdout == "" and len(lines) == 1, result
    assert str(path) in lines[0], lines[0]
    return lines[0]


@pytest.mark.parametrize("case", CASES)
def test_one_line_with_the_position(tmp_path, case):
    text, line, words = CASES[case]
    path = tmp_path / "dotrelay.toml"
    path.write_text(text, errors="surrogateescape")
    message = refused(path, "--config", path)
    assert message == refused(path, "check", "--config", path), "check and start say the same"
    assert line is None or re.search(rf"{re.escape(str(path))}:{line}:\d+: \S", message), message
    for word in words:
        assert re.search(word if word in ("[Nn]o such file", "60s|1m") else re.escape(word), message.replace(str(path), "")), message


def test_missing_file(tmp_path):
    path = tmp_path / "absent.toml"
    assert re.search("[Nn]o such file", refused(path, "--config", path))


def make_fifo(path):
    os.mkfifo(path)


def make_folder(path):
    path.mkdir()


def make_device(path):
    path.symlink_to("/dev/zero")


def make_endless(path):
    """Its size alone is more than the relay reads."""
    with open(path, "wb") as file:
        file.truncate(1 << 40)


NO_FILES = {"FIFO": (make_fifo, "is a FIFO, not a file"), "folder": (make_folder, "is a directory, not a file"),
            "device": (make_device, "is a device, not a file"), "endless": (make_endless, r"larger than \d MiB")}


@pytest.mark.parametrize("kind", NO_FILES)
@pytest.mark.parametrize("key", ["config", "ca_file"])
def test_what_is_no_file_is_named_at_once(tmp_path, kind, key):
    make, words = NO_FILES[kind]
    path, ca_file = tmp_path / "dotrelay.toml", tmp_path / "ca.pem"
    make(path if key == "config" else ca_file)
    if key == "ca_file":
        path.write_text(UPSTREAM + f'ca_file = "{ca_file}"\n')
    message = refused(path, "check", "--config", path)
    assert message == refused(path, "--config", path) and re.search(words, message)


@pytest.mark.parametrize("content", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_unusable_ca_file(tmp_path, content):
    (tmp_path / "ca.pem").write_bytes(content)
    path = tmp_path / "dotrelay.toml"
    path.write_text(UPSTREAM + f'ca_file = "{tmp_path}/ca.pem"\n')
    assert f"{tmp_path}/ca.pem" in refused(path, "--config", path)


def test_the_key_is_the_nearest(tmp_path):
    path = tmp_path / "dotrelay.toml"
    path.write_text(UPSTREAM + '[limits]\ntcp_client = 5\n')
    message = refused(path, "check", "--config", path)
    assert "tcp_clients" in message and "tcp_idle" not in message.replace("tcp_clients", "")


def test_nothing_is_started(tmp_path):
    path = tmp_path / "dotrelay.toml"
    path.write_text(GOOD.format(port=PORT) + "[relay]\nfoo = 1\n")
    refused(path, "--config", path)
    assert is_free(PORT)


def test_good_file_passes_the_check(tmp_path, certificates):
    path = tmp_path / "dotrelay.toml"
    path.write_text(GOOD.format(port=PORT) + f'ca_file = "{certificates.ca_file}"\npins = ["{certificates.good.pin}"]\n')
    result = run_binary("check", "--config", path)
    assert result.returncode == 0 and result.stdout.startswith(f"{path}: ok") and len(result.stdout.splitlines()) == 1
    assert result.stderr == "" and is_free(PORT)


def test_an_upstream_that_gets_no_query_is_a_warning(tmp_path, certificates):
    path = tmp_path / "dotrelay.toml"
    text = GOOD.format(port=PORT) + f'ca_file = "{certificates.ca_file}"\n' + GOOD[GOOD.index("[[upstream]]"):].replace('"one"', '"office"')
    path.write_text(text + f'ca_file = "{certificates.ca_file}"\nzone_only = true\n')
    result = run_binary("check", "--config", path)
    assert result.returncode == 0 and re.search(rf'^warning: {re.escape(str(path))}:13:13: upstream.zone_only: .*"office"', result.stderr)


def test_printed_defaults_are_a_valid_file(tmp_path):
    result = run_binary("--print-defaults")
    assert result.returncode == 0 and not result.stderr
    for key in ("addresses", "allow", "workers", "share_port", "deadline", "tcp_clients", "tcp_idle", "level", "tls_name", "ca_file", "pins"):
        assert re.search(rf"^\s*#?\s*{key}\s*=", result.stdout, re.M), key
    path = tmp_path / "defaults.toml"
    # Commented keys may be printed as "# key = value": the file as it is, plus an upstream, must pass.
    path.write_text(result.stdout if re.search(r"^\[\[upstream\]\]", result.stdout, re.M) else result.stdout + UPSTREAM)
    checked = run_binary("check", "--config", path)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("arguments", [["--nonsense"], ["--config"], ["nonsense"], ["check", "--config"], ["check", "--nonsense"],
                                       ["--config", "a", "b"], ["-x"]])
def test_usage_errors(arguments):
    result = run_binary(*arguments)
    assert result.returncode == 2 and result.stdout == "" and result.stderr


def test_version_and_help():
    version = run_binary("--version")
    assert version.returncode == 0 and re.match(r"dotrelay \d+\.\d+", version.stdout) and not version.stderr
    usage = run_binary("--help")
    assert usage.returncode == 0 and not usage.stderr
    assert all(word in usage.stdout for word in ("--config", "check", "--version", "--print-defaults"))


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["--print-defaults"], ["check", "--config", "good"]])
def test_output_that_cannot_be_written(tmp_path, certificates, arguments):
    if "good" in arguments:
        path = tmp_path / "good.toml"
        path.write_text(GOOD.format(port=PORT) + f'ca_file = "{certificates.ca_file}"\n')
        arguments = ["check", "--config", str(path)]
    with open("/dev/full", "w") as full:
        result = subprocess.run([str(binary()), *arguments], stdout=full, stderr=subprocess.PIPE, text=True, timeout=5)
    assert result.returncode == 1
    assert result.stderr == "dotrelay: cannot write to standard output: No space left on device\n"
