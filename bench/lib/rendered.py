# SPDX-License-Identifier: Apache-2.0
"""A publisher for what tokki-perf does not do: any mix of queues and properties in one batch, rendered once and sent again and again."""
import codec
import wire


class Rendered:
    """Publishes with confirms. `messages`: (queue, properties, size) of one batch. Queues are declared, and durable when
    their messages are persistent."""

    def __init__(self, port, messages, is_durable=True):
        self.is_durable = is_durable
        self.connection = wire.connect("127.0.0.1", port)
        self.channel = self.connection.channel()
        for queue in dict.fromkeys(queue for queue, _, _ in messages):
            self.channel.queue(queue, exclusive=False, durable=is_durable)
        self.channel.rpc("confirm.select")
        self.batch = b"".join(self.render(*message) for message in messages)
        self.batch_count, self.sent = len(messages), 0
        self.low, self.above = 0, set()  # confirmed: all up to `low`, and those

    def render(self, queue, properties, size):
        publish = codec.method_frame(self.channel.number, "basic.publish", routing_key=queue)
        properties = {"delivery_mode": 2 if self.is_durable else 1, **properties}
        return publish + codec.content_frames(self.channel.number, bytes(size), properties)

    def send(self, window):
        """Another batch; then waits until no more than `window` messages are unconfirmed."""
        self.connection.write(self.batch)
        self.sent += self.batch_count
        self.settle(window)

    def settle(self, window=0):
        while self.sent - self.low - len(self.above) > window:
            ack = self.channel.wait("basic.ack")
            if ack.multiple:
                self.low = max(self.low, ack.delivery_tag)
                self.above = {tag for tag in self.above if tag > self.low}
            else:
                self.above.add(ack.delivery_tag)

    def count(self, queue):
        """Messages that wait in it."""
        return self.channel.count(queue)

    def close(self):
        self.connection.end()
