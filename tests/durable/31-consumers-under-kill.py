# SPDX-License-Identifier: Apache-2.0
# kill -9 under publishers and consumers: what was confirmed and not acknowledged is there, flagged when it was seen. timeout: 300
import random

from durable import *
from harness import *

dice = random.Random(SEED)
print("seed", SEED)


class Consumer(threading.Thread):
    """Takes from a queue and acknowledges two of three, some of them together; keeps what it saw and settled."""

    def __init__(self, node, queue):
        super().__init__(daemon=True)
        self.queue, self.ch, self.error = queue, node.channel(), None
        node.connections.remove(self.ch.c)
        self.seen, self.settled = set(), set()
        self.start()

    def run(self):
        try:
            self.ch.rpc("basic.qos", prefetch_count=100)
            self.ch.consume(self.queue)
            while True:
                m = self.ch.delivery()
                label, n = origin_of(m.body)
                assert m.body == body_of(label, n), f"delivered {label}:{n} with another body"
                assert (label, n) not in self.seen, f"delivered {label}:{n} twice"
                self.seen.add((label, n))
                if len(self.seen) % 3:
                    self.settled.add((label, n))  # before it is sent: the broker may have it from here on
                    self.ch.ack(m.delivery_tag)
                elif len(self.seen) > 60:
                    self.settled |= self.seen
                    self.ch.ack(m.delivery_tag, multiple=True)
        except (wire.Closed, ConnectionError):
            pass
        except Exception as error:  # told to who joins
            self.error = error
        finally:
            self.ch.c.close()

    def end(self):
        self.join(wire.PATIENCE)
        assert not self.is_alive(), "still consumes"
        if self.error:
            raise self.error


@after("kill", "restart", options=["--shards", "2"])
def accounts(node):
    ch = node.channel()
    queues = [ch.queue(unique(), exclusive=False, durable=True) for _ in range(4)]
    for number in range(4 if TOKKI else 1):
        streams = [Stream(node, f"{number}/{k}", queues) for k in range(2)]
        consumers = [Consumer(node, queue) for queue in queues[:3]]
        goal = dice.randrange(100, 3000)
        until(lambda: sum(len(s.confirmed) for s in streams) >= goal, f"{goal} confirms")
        until(lambda: all(c.seen for c in consumers), "deliveries")
        node.down()
        for thread in streams + consumers:
            thread.end()
        seen, settled = [set().union(*(getattr(c, what) for c in consumers)) for what in ("seen", "settled")]
        found = account(node.up(), streams, excused=settled)
        lost = seen - settled - found.keys()
        unflagged = [key for key in seen & found.keys() if not found[key].redelivered]
        # Delivered a moment before the end: unconfirmed ones may be lost with their batch.
        confirmed = {(s.label, n) for s in streams for n in s.confirmed}
        assert not lost & confirmed, f"confirmed, seen, not settled and lost: {sorted(lost & confirmed)[:5]}"
        if node.way == "restart":
            eq(unflagged, [])
            eq([key for key in settled & found.keys() if not found[key].redelivered], [])


main()
