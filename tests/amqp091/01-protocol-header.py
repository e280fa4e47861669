# SPDX-License-Identifier: Apache-2.0
# The protocol header: 0-9-1 and 0-9 are served, any other gets the header we speak and the end of the stream.
from harness import *

HEADER = codec.PROTOCOL_HEADER


def refused(raw):
    """Sends raw; returns what comes back until the broker closes."""
    s = Socket()
    s.write(raw)
    got = s.read_to_end()
    s.close()
    return got


@check
def header_0_9_1_gets_start():
    c = Connection()
    start = c.start()
    eq((start.version_major, start.version_minor), (0, 9))
    c.close()


@check
def header_0_9_is_treated_as_0_9_1():
    c = Connection()
    start = c.start(b"AMQP\x01\x01\x00\x09")
    eq((start.version_major, start.version_minor), (0, 9))
    c.close()


@check
def header_0_8_gets_version_8_0():
    for header in b"AMQP\x01\x01\x08\x00", b"AMQP\x01\x01\x09\x01":
        c = Connection()
        start = c.start(header)
        eq((start.version_major, start.version_minor), (8, 0), header)
        c.close()


@check
def wrong_versions_get_our_header():
    for version in b"\0\0\x09\x02", b"\0\0\x0a\0", b"\0\0\x08\0", b"\x02\x02\0\0", b"\xff\xff\xff\xff", b"\0\0\0\0":
        eq(refused(b"AMQP" + version), HEADER, version)


@only("rabbitmq3", "tokkimq")
def amqp_1_0_without_its_plugin_gets_our_header():
    for version in b"\0\x01\0\0", b"\x03\x01\0\0":
        eq(refused(b"AMQP" + version), HEADER, version)


@check
def other_protocols_get_our_header():
    for raw in b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03", b"XXXXXXXX":
        eq(refused(raw), HEADER, raw)


@check
def header_in_single_octets():
    c = Connection()
    for octet in HEADER[:-1]:
        c.write(bytes([octet]))
    c.start(HEADER[-1:])
    c.close()


@check
def half_a_header_then_close_is_harmless():
    for n in 0, 1, 4, 7:
        s = Socket()
        s.write(HEADER[:n])
        s.close()
    connect().end()


main()
