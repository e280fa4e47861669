# SPDX-License-Identifier: Apache-2.0
# channel.open and close: reopening, limits, closing in the middle, and that a channel error leaves the rest alone.
from harness import *


@check
def open_close_reopen(ch):
    for _ in range(3):
        ch.close()
        ch.open()


@check
def highest_and_one_beyond():
    c = connect(channel_max=3)
    for number in 1, 2, 3:
        c.channel(number)
    c.send("channel.open", 4)
    c.closes(530, "NOT_ALLOWED - number of channels opened (3) has reached the negotiated channel_max (3)")


@check
def numbers_beyond_channel_max_count_as_channels():
    c = connect(channel_max=3)
    c.channel(65535)
    c.channel(3)
    c.end()


@check
def all_2047_channels(c):
    c.write(b"".join(codec.method_frame(n, "channel.open") for n in range(1, 2048)))
    for n in range(1, 2048):
        c.wait(n, "channel.open-ok")
    c.send("channel.open", 2048)
    c.closes(530, "NOT_ALLOWED - number of channels opened (2047) has reached the negotiated channel_max (2047)")


@check
def closed_channel_is_as_if_never_opened(ch):
    ch.close()
    ch.kills(504, "CHANNEL_ERROR - expected 'channel.open'", "basic.qos")


@check
def channel_error_leaves_other_channels_alone(ch, ch2):
    name = ch2.queue()
    ch2.consume(name)
    ch.refused(404, "NOT_FOUND - no queue 'missing' in vhost '/'", "queue.declare", queue="missing", passive=True)
    ch2.publish(key=name, body="still here")
    eq(ch2.delivery().body, b"still here")


@check
def frames_after_a_channel_error_are_ignored(ch, ch2):
    name = unique()
    ch.send("queue.declare", queue="missing", passive=True)
    ch.publish(key="x", body="ignored", mandatory=True)
    ch.send("queue.declare", queue=name)
    ch.wait("channel.close")
    ch.send("queue.declare", queue=name)
    ch.send("channel.close-ok")
    ch.open()
    ch.refused(404, f"NOT_FOUND - no queue '{name}' in vhost '/'", "queue.declare", queue=name, passive=True)


@check
def crossing_close_is_answered(ch):
    ch.send("queue.declare", queue="missing", passive=True)
    ch.send("channel.close", reply_code=200, reply_text="bye")
    ch.wait("channel.close")
    ch.send("channel.close-ok")
    ch.wait("channel.close-ok")
    ch.open()


@check
@check
def close_requeues_unacked(ch, ch2):
    name = ch.queue()
    ch.publish(key=name, body="x")
    ch.consume(name)
    ch.delivery()
    ch.close()
    got = ch2.get(name)
    eq((got.body, got.redelivered), (b"x", True))


@check
def close_ok_unasked(ch):
    ch.kills(503, "COMMAND_INVALID - unimplemented method", "channel.close-ok")


@check
def long_error_texts_are_cut_to_255_octets(ch):
    ch.send("queue.declare", queue="q" * 255, passive=True)
    got = ch.wait("channel.close")
    eq(got.reply_text, ("NOT_FOUND - no queue '" + "q" * 255)[:252] + "...")
    ch.send("channel.close-ok")


main()
