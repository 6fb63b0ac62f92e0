"""Fixtures of the integration suites: certificates once a session, resolvers once a session, and makers for upstreams and relays."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support import certificates as certificate_tools  # noqa: E402
from support import resolvers  # noqa: E402
from support.dot_upstream import DotUpstream  # noqa: E402
from support.plain_upstream import PlainUpstream  # noqa: E402
from support.ports import free_port  # noqa: E402
from support.relay import Relay, upstream_table  # noqa: E402


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return certificate_tools.CertificateStore(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session", params=[resolvers.Unbound, resolvers.KnotResolver], ids=["unbound", "kresd"])
def resolver(request, tmp_path_factory, certificates):
    with request.param(tmp_path_factory.mktemp(request.param.name), certificates.good) as running:
        yield running


@pytest.fixture
def make_upstream(certificates):
    """make_upstream(certificate="good", **DotUpstream arguments): a running upstream, ended with the test."""
    running = []

    def make(certificate="good", start=True, **arguments):
        chosen = getattr(certificates, certificate) if isinstance(certificate, str) else certificate
        upstream = DotUpstream(chosen, **arguments)
        running.append(upstream)
        return upstream.start() if start else upstream

    yield make
    for upstream in running:
        upstream.stop(reset=True)


@pytest.fixture
def make_plain_upstream():
    """make_plain_upstream(**DotUpstream arguments): a running upstream without TLS, ended with the test."""
    running = []

    def make(**arguments):
        running.append(PlainUpstream(**arguments).start())
        return running[-1]

    yield make
    for upstream in running:
        upstream.stop(reset=True)


@pytest.fixture
def make_relay(certificates, tmp_path, request):
    """make_relay(upstream or [[upstream] tables], **Relay arguments): a running relay, checked and ended with the test.

    Plain upstreams become tables named one, two, ... in this order.
    """
    running = []

    def make(*upstreams, **arguments):
        names = ("one", "two", "three")
        tables = [upstream if isinstance(upstream, dict) else upstream_table(upstream, certificates, name)
                  for upstream, name in zip(upstreams, names)]
        running.append(Relay(tmp_path, tables, **arguments))
        return running[-1]

    yield make
    failed = getattr(request.node, "call_failed", False)
    for relay in running:
        if failed:
            print(f"--- log of the relay on port {relay.port}\n{relay.log}")
            relay.kill()
        elif relay.process is not None:
            relay.stop()


@pytest.fixture(scope="module")
def shared_upstream(certificates):
    """One well-behaved upstream for a whole file."""
    with DotUpstream(certificates.good) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def shared_relay(certificates, shared_upstream, tmp_path_factory):
    """One relay on 127.0.0.1 and ::1 in front of shared_upstream, for tests that leave no trace in either."""
    port = free_port()
    with Relay(tmp_path_factory.mktemp("relay"), upstream_table(shared_upstream, certificates), port=port,
               listen={"addresses": [f"127.0.0.1:{port}", f"[::1]:{port}"]}) as relay:
        yield relay


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Lets fixtures know that the test itself failed, so that a relay's log is shown and its end not checked on top."""
    outcome = yield
    if call.when == "call" and outcome.get_result().failed:
        item.call_failed = True
