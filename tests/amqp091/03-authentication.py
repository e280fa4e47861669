# SPDX-License-Identifier: Apache-2.0
# PLAIN and AMQPLAIN log in; unknown mechanisms, broken responses and wrong passwords are refused as RabbitMQ refuses them.
from harness import *

REFUSED = "ACCESS_REFUSED - Login was refused using authentication mechanism {}. For details see the broker logfile."


def logging_in(**start_ok):
    c = Connection()
    c.start()
    c.start_ok(**start_ok)
    return c


def amqplain(user, password):
    return codec.encode_table({"LOGIN": user, "PASSWORD": password})[4:]


@check
def plain():
    connect(response=b"\0guest\0guest").end()


@check
def amqplain_table():
    connect(mechanism="AMQPLAIN", response=amqplain("guest", "guest")).end()


@check
def wrong_password_with_the_capability():
    for mechanism, response in (
        ("PLAIN", "\0guest\0wrong"),
        ("AMQPLAIN", amqplain("guest", "wrong")),
        ("PLAIN", "\0nobody\0x"),
    ):
        logging_in(mechanism=mechanism, response=response).closes(403, REFUSED.format(mechanism))


@check
def wrong_password_without_the_capability_just_ends():
    c = logging_in(password="wrong", capabilities={})
    eq(c.read_to_end(), b"", "after a refused login")
    c.close()


@check
def what_is_no_login_at_all_is_cut():
    refused = []
    other_identity = [] if TOKKI else [{"response": b"other\0guest\0guest"}]  # later versions let it pass
    for answer in (
        *other_identity,
        {"mechanism": "NOPE"},
        {"mechanism": ""},
        {"response": b""},
        {"response": b"guest"},
        {"response": b"\0guest"},
        {"mechanism": "AMQPLAIN", "response": b""},
        {"mechanism": "AMQPLAIN", "response": codec.encode_table({"LOGIN": "guest"})[4:]},
    ):
        refused.append(logging_in(**answer))
    for c in refused:
        c.cut()


main()
