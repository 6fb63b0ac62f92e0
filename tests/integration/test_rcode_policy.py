"""Which RCODE is an answer, and which one is worth asking the next upstream."""
import itertools

import pytest

from support import behaviours, clients
from support.behaviours import rcode as answering
from support.clients import assert_right, rcode
from support.event_loop import wait_until
from support.relay import upstream_table

RETRIED = {"SERVFAIL": 2, "REFUSED": 5, "FORMERR": 1, "NOTIMP": 4}
DNSSEC_ERRORS = [1, 2, 5, 6, 7, 8, 9, 10, 11, 12]
POLICY_ERRORS = [15, 16, 17, 18]
OTHER_ERRORS = [0, 3, 4, 13, 14, 19, 22, 23, 27]


@pytest.fixture(scope="module")
def pair(certificates, tmp_path_factory):
    """ask(behaviour of the first, behaviour of the second): the answer and how often each was asked."""
    from support.dot_upstream import DotUpstream
    from support.relay import Relay, upstream_table
    number = itertools.count()
    with DotUpstream(certificates.good) as first, DotUpstream(certificates.good) as second, Relay(
            tmp_path_factory.mktemp("relay"), [upstream_table(first, certificates, "one"), upstream_table(second, certificates, "two")]) as relay:
        def ask(of_first, of_second=None, **query):
            # Errors only now and then: an upstream whose answers are mostly errors is passed over.
            first.behaviour = second.behaviour = None
            for _ in range(2):
                relay.ask(f"settled-{next(number)}.example")
            first.behaviour, second.behaviour = of_first, of_second
            name = f"policy-{next(number)}.example"
            response = relay.ask(name, **query)
            if rcode(response) == "NOERROR":
                assert_right(response, name)
            return response, len(first.seen(name)), len(second.seen(name))
        yield ask


@pytest.mark.parametrize("code", RETRIED)
@pytest.mark.parametrize("edns", [True, False])
def test_second_opinion(pair, code, edns):
    response, first, second = pair(answering(RETRIED[code]), edns=edns)
    assert rcode(response) == "NOERROR" and (first, second) == (1, 1)


@pytest.mark.parametrize("code", RETRIED)
def test_two_say_the_same(pair, code):
    response, first, second = pair(answering(RETRIED[code]), answering(RETRIED[code]))
    assert rcode(response) == code and (first, second) == (1, 1)


@pytest.mark.parametrize("code", RETRIED)
def test_second_opinion_nxdomain(pair, code):
    response, first, second = pair(answering(RETRIED[code]), answering(3))
    assert rcode(response) == "NXDOMAIN" and (first, second) == (1, 1)


def test_two_different_refusals(pair):
    response, first, second = pair(answering(5), answering(2))
    assert rcode(response) in ("REFUSED", "SERVFAIL") and (first, second) == (1, 1)


@pytest.mark.parametrize("code", [0, 3])
def test_answers_are_final(pair, code):
    response, first, second = pair(answering(code) if code else behaviours.answer)
    assert response.rcode() == code and (first, second) == (1, 0)


@pytest.mark.parametrize("ede", DNSSEC_ERRORS)
def test_dnssec_failures_are_final(pair, ede):
    response, first, second = pair(answering(2, ede, b"bogus"))
    assert rcode(response) == "SERVFAIL" and (first, second) == (1, 0)
    assert clients.extended_errors(response) == [(ede, "bogus")]


def test_dnssec_failure_is_final_for_a_client_without_edns(pair):
    response, first, second = pair(answering(2, 6), edns=False)
    assert rcode(response) == "SERVFAIL" and response.edns == -1 and (first, second) == (1, 0)


@pytest.mark.parametrize("ede", OTHER_ERRORS)
def test_other_extended_errors_are_not(pair, ede):
    response, first, second = pair(answering(2, ede))
    assert rcode(response) == "NOERROR" and (first, second) == (1, 1)


@pytest.mark.parametrize("ede", POLICY_ERRORS)
@pytest.mark.parametrize("code", [2, 3, 5])
def test_filters_have_the_last_word(pair, code, ede):
    response, first, second = pair(answering(code, ede, b"on the list"))
    assert response.rcode() == code and (first, second) == (1, 0)
    assert clients.extended_errors(response) == [(ede, "on the list")]


def test_a_filter_is_not_passed_over(make_upstream, make_relay):
    first, second = make_upstream(behaviour=answering(5, 15)), make_upstream()
    relay = make_relay(first, second)
    for number in range(20):
        assert rcode(relay.ask(f"blocked.domain-{number}")) == "REFUSED"
    assert len(first.queries) == 20 and not second.queries


def test_refused_is_final(make_upstream, make_relay, certificates):
    first, second = make_upstream(behaviour=answering(5)), make_upstream()
    relay = make_relay(upstream_table(first, certificates, refused_is_final=True), second)
    for number in range(10):
        assert rcode(relay.ask(f"blocked.domain-{number}")) == "REFUSED"
    assert len(first.queries) == 10 and not second.queries


def test_dnssec_error_on_a_refusal_is_not_final(pair):
    response, first, second = pair(answering(5, 6))
    assert rcode(response) == "NOERROR" and (first, second) == (1, 1)


@pytest.mark.parametrize("code", RETRIED)
def test_only_upstream_has_the_last_word(make_upstream, make_relay, code):
    """Its extended error comes along: it is the upstream's verdict, not a failure to reach it."""
    upstream = make_upstream(behaviour=answering(RETRIED[code], 22, b"their words"))
    response = make_relay(upstream).ask("only.example")
    assert rcode(response) == code and clients.extended_errors(response) == [(22, "their words")]


def test_error_does_not_put_the_upstream_out_of_service(pair):
    """An RCODE is about a name, not about the server: the next question goes to the first again."""
    pair(answering(2))
    response, first, second = pair(None)
    assert rcode(response) == "NOERROR" and (first, second) == (1, 0)


def test_errors_for_everything_do(make_upstream, make_relay):
    """Where the next upstream has the answers, the first one's errors are its own."""
    first, second = make_upstream(behaviour=answering(2)), make_upstream()
    relay = make_relay(first, second)
    for number in range(20):
        assert_right(relay.ask(f"errors-{number}.example"), f"errors-{number}.example")
    assert relay.has_logged(r"warning .*upstream one .*answers with errors where others have an answer")
    assert len(first.queries) < 10
    first.behaviour = None
    wait_until(lambda: relay.ask("again.example") and relay.has_logged(r"upstream one .*: works again"), 8, "the first is trusted again")


def test_unreachable_second_leaves_the_first_ones_verdict(make_upstream, make_relay):
    first, second = make_upstream(behaviour=answering(5)), make_upstream(start=False)
    response = make_relay(first, second, relay={"deadline": "700ms"}).ask("verdict.example")
    assert rcode(response) in ("REFUSED", "SERVFAIL") and not response.answer
