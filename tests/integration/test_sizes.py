"""Large answers: TC over UDP at exactly the right size, everything over TCP up to 65,535 octets."""
import dns.flags
import pytest

from support import clients, dns_answers
from support.clients import TcpClient, make_query, rcode
from support.dns_answers import TXT

OPT_OCTETS = 11


def sized(total, opt=True):
    """A behaviour: a TXT answer whose message has exactly `total` octets, its OPT (if any) included."""
    def run(query):
        bare = len(dns_answers.build(query.message, query.question, edns=opt)) + 12
        rdata = dns_answers.text_rdata(total - bare)
        message = dns_answers.build(query.message, query.question, answers=dns_answers.record(rdata, TXT), answer_count=1, edns=opt)
        assert len(message) == total
        query.reply(message)
    return run


def assert_truncated(response, edns):
    assert response.flags & dns.flags.TC and rcode(response) == "NOERROR"
    assert not response.answer and not response.authority and not response.additional
    assert response.edns == (0 if edns else -1)


@pytest.fixture(scope="module")
def sizes(shared_upstream, shared_relay):
    """ask(size of the upstream's message, ...): the relay's UDP answer and its length."""
    number = iter(range(10000))

    def ask(total, opt=True, **query):
        name = f"s{next(number):05}.sizes.example"
        shared_upstream.behaviour = sized(total, opt)
        octets = clients.exchange(make_query(name, "TXT", **query).to_wire(), shared_relay.port)
        shared_upstream.behaviour = None
        return clients.parse(octets), len(octets)
    return ask


@pytest.mark.parametrize("total, fits", [(512, True), (513, False), (1232, False), (20000, False)])
@pytest.mark.parametrize("opt", [True, False])
def test_without_edns_512(sizes, total, fits, opt):
    """What counts is what the client gets: without the upstream's OPT."""
    response, length = sizes(total + (OPT_OCTETS if opt else 0), opt, edns=False)
    if fits:
        assert length == total and not response.flags & dns.flags.TC and len(response.answer) == 1
    else:
        assert_truncated(response, False)


def addresses_and_glue(answers, glue):
    """A behaviour: many A records, then additional AAAA records of another name."""
    def run(query):
        records = b"".join(dns_answers.record(bytes([10, 0, 0, number]), 1) for number in range(answers))
        extra = dns_answers.record(bytes(16), 28, owner=b"\4glue\4test\0") * glue
        query.reply(dns_answers.build(query.message, query.question, answers=records, answer_count=answers, extra=extra, extra_count=glue, edns=False))
    return run


def test_without_edns_a_truncated_answer_has_the_records_that_fit(make_upstream, make_relay):
    """Resolvers that know no TCP, as musl before 1.2.4, take the addresses that are there."""
    relay = make_relay(make_upstream(behaviour=addresses_and_glue(60, 0)))
    octets = clients.exchange(make_query("many.example", edns=False).to_wire(), relay.port)
    response = clients.parse(octets)
    assert response.flags & dns.flags.TC and 512 - 16 < len(octets) <= 512
    assert len(response.answer[0]) == (512 - 30) // 16 and not response.authority and not response.additional
    assert_truncated(relay.ask("many.example", payload=600), True)
    assert len(relay.ask("many.example", edns=False, transport="tcp").answer[0]) == 60


@pytest.mark.parametrize("edns", [True, False])
def test_additional_records_are_left_out_without_tc(make_upstream, make_relay, edns):
    """RFC 2181 9: TC is for what the answer cannot do without."""
    relay = make_relay(make_upstream(behaviour=addresses_and_glue(2, 60)))
    response = relay.ask("glue.example", edns=edns)
    assert not response.flags & dns.flags.TC and len(response.answer[0]) == 2 and not response.additional
    assert response.edns == (0 if edns else -1)
    complete = clients.exchange(make_query("glue.example", edns=edns).to_wire(), relay.port, "tcp")
    assert complete[10:12] == bytes([0, 60 + edns])


@pytest.mark.parametrize("payload, total, fits", [
    (1232, 1232, True), (1232, 1233, False), (4096, 1232, True), (4096, 1233, False), (65535, 4000, False), (1000, 1000, True),
    (1000, 1001, False), (512, 512, True), (512, 513, False), (100, 512, True), (0, 512, True), (100, 513, False)])
def test_with_edns_the_smaller_of_client_and_1232(sizes, payload, total, fits):
    response, length = sizes(total, payload=payload)
    if fits:
        assert length == total and not response.flags & dns.flags.TC and len(response.answer) == 1
    else:
        assert_truncated(response, True)


def test_padding_does_not_cause_truncation(make_upstream, make_relay):
    """The upstream pads to 468-octet blocks: the client's answer is measured without that."""
    relay = make_relay(make_upstream(pad_to=1400))
    response = relay.ask("padded.example")
    clients.assert_right(response, "padded.example")
    assert not response.flags & dns.flags.TC and not clients.options(response)


def test_truncated_answer_is_complete_over_tcp(shared_relay):
    name = "size-5000.tcp.example"
    assert_truncated(shared_relay.ask(name, "TXT"), True)
    response = shared_relay.ask(name, "TXT", "tcp")
    assert not response.flags & dns.flags.TC and len(response.answer[0][0].to_wire()) == 5000


@pytest.mark.parametrize("total", [4095, 4096, 4097, 16383, 16384, 16385, 40000, 65535])
@pytest.mark.parametrize("edns", [True, False])
def test_every_size_over_tcp(make_upstream, make_relay, total, edns):
    relay = make_relay(make_upstream(behaviour=sized(total, opt=edns)))
    octets = clients.exchange(make_query("large.example", "TXT", edns=edns).to_wire(), relay.port, "tcp")
    assert len(octets) == total
    response = clients.parse(octets)
    assert set(response.answer[0][0].to_wire().replace(b"\xff", b"")[1:-300]) <= {ord("x")}


def test_large_answers_out_of_order_over_one_tcp_connection(shared_relay):
    sizes_asked = [60000, 100, 30000, 5, 65000, 1400, 16384]
    with TcpClient(shared_relay.port) as client:
        client.send(*(make_query(f"size-{size}.delay-{40 * index}.mixed.example", "TXT").to_wire()
                      for index, size in enumerate(reversed(sizes_asked))))
        lengths = [len(clients.parse(client.receive()).answer[0][0].to_wire()) for _ in sizes_asked]
    assert sorted(lengths) == sorted(sizes_asked)


def test_upstreams_own_tc_comes_back(make_upstream, make_relay):
    relay = make_relay(make_upstream(behaviour=lambda query: query.reply(dns_answers.build(query.message, query.question, flags=0x8280))))
    for transport in ("udp", "tcp"):
        assert relay.ask(f"{transport}.example", transport=transport).flags & dns.flags.TC
