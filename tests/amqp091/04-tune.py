# SPDX-License-Identifier: Apache-2.0
# connection.tune: the values offered, which answers are accepted, which end the connection.
from harness import *


def tuned():
    c = Connection()
    c.start()
    c.start_ok()
    return c, c.wait(0, "connection.tune")


@check
def offered_values():
    c, tune = tuned()
    eq((tune.channel_max, tune.frame_max, tune.heartbeat), (2047, 131072, 60))
    c.close()


@check
def smaller_values_are_taken():
    for answer in {"frame_max": 4096}, {"channel_max": 1}, {"frame_max": 4097, "channel_max": 2046, "heartbeat": 3}:
        connect(**answer).end()


@check
def any_heartbeat_is_taken():
    for heartbeat in 0, 1, 600, 65535:
        connect(heartbeat=heartbeat).end()


@check
def values_out_of_range_are_cut():
    refused = []
    for answer in (
        {"frame_max": 4095},
        {"frame_max": 131073},
        {"frame_max": 0},
        {"channel_max": 2048},
        {"channel_max": 0},
    ):
        c, tune = tuned()
        c.tune_ok(tune, **answer)
        refused.append(c)
    for c in refused:
        c.cut()


main()
