"""The limit of open files: refused at the start when it cannot suffice; TCP clients never take what upstream connections need."""
import contextlib
import socket
import subprocess

from support import clients
from support.relay import binary, toml


def limited(folder, count):
    """The relay as a program with `count` open files at most."""
    program = folder / f"dotrelay-{count}"
    program.write_text(f'#!/bin/sh\nulimit -n {count}\nexec {binary()} "$@"\n')
    program.chmod(0o755)
    return program


def test_a_limit_that_cannot_suffice_is_refused_with_the_number_to_set(tmp_path):
    tables = {"listen": {"addresses": ["127.0.0.1:12555"]},
              "upstream": [{"name": "one", "addresses": ["127.0.0.1:1"], "tls_name": "one.test"}]}
    file = tmp_path / "relay.toml"
    file.write_text(toml(tables))
    for count in (6, 20):
        done = subprocess.run([limited(tmp_path, count), "--config", file], capture_output=True, text=True, timeout=10)
        assert done.returncode == 1
        assert f"the limit of open files (nofile) is {count}, and this configuration needs " in done.stderr
        assert "LimitNOFILE=" in done.stderr


def test_listeners_count_when_clients_are_given_what_is_left(make_upstream, make_relay, tmp_path):
    upstream = make_upstream()
    relay = make_relay(upstream, program=limited(tmp_path, 300), start=False)
    relay.tables["listen"]["addresses"] = [f"127.0.0.{1 + number}:{relay.port}" for number in range(64)]
    relay.start()
    assert relay.has_logged(r"serving at most \d+ TCP clients instead of \d+: the limit of open files \(nofile\) is 300")
    with contextlib.ExitStack() as stack:
        for number in range(250):
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_connection((f"127.0.0.{1 + number % 64}", relay.port), timeout=2))
        assert clients.rcode(relay.ask("first.example")) == "NOERROR"
        upstream.stop(reset=True)
        upstream.start()
        assert clients.rcode(relay.ask("dialled-again.example")) == "NOERROR"
    assert not relay.has_logged("no descriptor is left")
