"""Scripts for the DoT upstream: what goes wrong with a query. Each gives a function to put in `DotUpstream.behaviour`."""
import os
import random
import struct

from . import dns_answers


def answer(query):
    query.reply()


def drop(query):
    """Reads the query, never answers."""


def delayed(seconds):
    return lambda query: query.reply(delay=seconds)


def random_delay(low, high, seed=1):
    chance = random.Random(seed)
    return lambda query: query.reply(delay=chance.uniform(low, high))


def by_turn(*behaviours):
    """The first query ever seen gets the first behaviour, and so on; the last one stays."""
    return lambda query: behaviours[min(query.total, len(behaviours)) - 1](query)


def by_connection(upstream, *behaviours):
    """Queries of the first connection that carries any get the first behaviour, and so on; the last one stays."""
    order = []

    def run(query):
        if query.connection not in order:
            order.append(query.connection)
        behaviours[min(order.index(query.connection), len(behaviours) - 1)](query)
    return run


def by_name(table, otherwise=answer):
    return lambda query: table.get(query.name.lower(), otherwise)(query)


def reordered(count, order=reversed):
    """Holds `count` queries, then answers them all in another order."""
    held = []

    def run(query):
        held.append(query)
        if len(held) == count:
            for waiting in list(order(held)):
                waiting.reply()
            held.clear()
    return run


# Messages that are not the answer. Each takes a query and gives octets.

def with_other_id(query):
    message = query.answer()
    return bytes([message[0] ^ 0x55, message[1] ^ 0xAA]) + message[2:]


def other_question(name=None, rrtype=None, rrclass=None):
    """A perfect answer with the right ID to a question that was not asked."""
    def make(query):
        question = query.question
        wire = dns_answers.wire_name(name) if name else question.name
        asked = wire + struct.pack("!HH", rrtype or question.type, rrclass or question.class_)
        changed = query.message[:12] + asked + query.message[question.end:]
        return dns_answers.default_answer(changed)
    return make


def without_question(query):
    """NOERROR and an answer record, but no question section."""
    message = query.answer()
    return message[:4] + b"\0\0" + message[6:12] + query.question.name + message[query.question.end + 2:]


def header_only(rcode):
    """Twelve octets: the error answer of RFC 1035 by a server that understood nothing."""
    return lambda query: query.message[:2] + struct.pack("!HHHHH", 0x8180 | rcode, 0, 0, 0, 0)


def echoed(query):
    """The query itself, QR clear."""
    return query.message


def other_opcode(query):
    message = bytearray(query.answer())
    message[2] |= 4 << 3
    return bytes(message)


def garbage(query):
    return os.urandom(64)


def short(query):
    return query.message[:2] + b"\x81\x80\0\x01"


def empty(query):
    return b""


def cut_inside_record(query):
    """A frame of the right length whose last record is missing octets."""
    return query.answer()[:-14]


def too_many_counted(query):
    """An answer that counts one record more than it has."""
    message = query.answer()
    return message[:6] + struct.pack("!H", struct.unpack("!H", message[6:8])[0] + 1) + message[8:]


def two_opt(query):
    """An empty answer with two OPT records (RFC 6891 6.1.1 allows one)."""
    opt = b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)
    return query.message[:2] + struct.pack("!HHHHH", 0x8180, 1, 0, 0, 2) + query.message[12:query.question.end] + opt + opt


def replying(*makers, delay=0.0):
    """Sends each maker's message, `delay` apart."""
    def run(query):
        for index, make in enumerate(makers):
            query.reply(make(query), delay=delay * index)
    return run


def then_answer(*makers, delay=0.05):
    """The wrong messages first, the right answer `delay` later."""
    def run(query):
        for make in makers:
            query.reply(make(query))
        query.reply(delay=delay)
    return run


# What happens to the connection.

def close_after(count, reset=False, notify=True):
    """Answers `count` queries of a connection, then ends it; what it received beyond stays unanswered."""
    def run(query):
        if query.number <= count:
            query.reply()
        if query.number == count:
            query.connection.reset() if reset else query.connection.close(notify)
    return run


def garble_after(count):
    """Answers `count` queries of a connection, then breaks the TLS session: a record that cannot be decrypted."""
    def run(query):
        if query.number <= count:
            query.reply()
        if query.number == count:
            query.connection.flush()
            query.connection.transport.write(b"\x17\x03\x03\x00\x20" + os.urandom(32))
    return run


def without_edns(rcode=1):
    """A server of RFC 1035: an error in a header alone for queries with an OPT, answers for others."""
    def run(query):
        query.reply(header_only(rcode)(query) if query.message[11] else None)
    return run


def close(query):
    query.connection.close()


def close_without_notify(query):
    query.connection.close(notify=False)


def reset(query):
    query.connection.reset()


def half_close(query):
    query.connection.half_close()


def answer_then_half_close(query):
    query.reply()
    query.connection.half_close()


def truncated_frame(then=None):
    """The length and half of the answer, then `then(query)`."""
    def run(query):
        message = query.answer()
        query.connection.send_plain(struct.pack("!H", len(message)) + message[:len(message) // 2])
        if then:
            then(query)
    return run


def stop_reading(query):
    query.connection.stop_reading()


def with_options(*options, **parts):
    """An answer with these EDNS options in its OPT: (code, data) pairs."""
    octets = b"".join(dns_answers.option(code, data) for code, data in options)
    return lambda query: query.reply(query.answer(options=octets))


def rcode(code, ede=None, text=b"", rr_options=()):
    """An error with its question, optionally with an Extended DNS Error."""
    def run(query):
        options = b"".join(dns_answers.option(*pair) for pair in rr_options)
        if ede is not None:
            options += dns_answers.option(dns_answers.EDE, struct.pack("!H", ede) + text)
        query.reply(dns_answers.build(query.message, query.question, rcode=code, options=options))
    return run
