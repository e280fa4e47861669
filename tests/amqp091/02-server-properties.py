# SPDX-License-Identifier: Apache-2.0
# connection.start: server properties, capabilities, mechanisms and locales.
from harness import *

CAPABILITIES = [
    "publisher_confirms",
    "exchange_exchange_bindings",
    "basic.nack",
    "consumer_cancel_notify",
    "connection.blocked",
    "consumer_priorities",
    "authentication_failure_close",
    "per_consumer_qos",
    "direct_reply_to",
]


@check
def server_properties():
    c = Connection()
    start = c.start()
    properties = start.server_properties
    eq(properties["product"], by_target("RabbitMQ", "TokkiMQ"))
    if TOKKI:
        eq(properties["version"], "3.13.7")
        assert properties["tokkimq_version"]
    for name in "version", "platform", "cluster_name", "copyright", "information":
        assert isinstance(properties[name], str) and properties[name], name
    c.close()


@check
def capabilities_are_true_booleans():
    c = Connection()
    start = c.start()
    eq(start.server_properties["capabilities"], {name: True for name in CAPABILITIES})
    raw = codec.decode_args("connection.start", start.raw, typed=True)
    for name, value in raw["server_properties"].items():
        eq(value.tag, "F" if name == "capabilities" else "S", name)
    c.close()


@check
def mechanisms_and_locales():
    c = Connection()
    start = c.start()
    eq(set(start.mechanisms.split(" ")) - {"ANONYMOUS"}, {"PLAIN", "AMQPLAIN"})
    eq(start.locales, "en_US")
    c.close()


main()
