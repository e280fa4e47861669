# SPDX-License-Identifier: Apache-2.0
# Power cuts at any write, on a disk that forgets what was not synced: every promise is kept, nothing else is there. timeout: 120
import signal

from crash import *
from harness import *

# Each round is one life of a broker and its end. TOKKI_CRASH_SECONDS makes a long run of it.
SECONDS = float(os.environ.get("TOKKI_CRASH_SECONDS", "20"))
SEED = int(os.environ.get("TOKKI_SEED", random.randrange(10**9)))
OPTIONS = ["--shards", "2", "--log-segment-size", "1MiB"]
ROUNDS = 12  # with one data directory
CLIENTS = 3

dice = random.Random(SEED)
print("seed", SEED)


def has_lossy_disk():
    """Release builds do not know the variable and would just go on."""
    with open(os.environ["TOKKI_BIN"], "rb") as binary:
        return b"TOKKI_LOSSY_DISK" in binary.read()


def some_calls():
    """Number of the call in whose middle the power goes: often within the start, sometimes far."""
    return int(10 ** dice.uniform(0, 2.9))


class Life:
    """One data directory and its clients, over many starts."""

    def __init__(self, number):
        self.broker = Broker(OPTIONS)
        self.clients = [Client(self.broker.port, f"{number}.{i}", dice.random()) for i in range(CLIENTS)]
        self.cuts = self.early_cuts = self.stop_cuts = self.kills = self.stops = 0

    def verify(self):
        for client in self.clients:
            client.verify(self.broker.port)

    def halt(self):
        eq(self.broker.halt(), [])
        self.stops += 1
        for client in self.clients:
            client.stopped()

    def work(self):
        """Clients until the power goes."""
        for client in self.clients:
            client.start()
        if self.broker.went_by_cut(2):
            self.cuts += 1
        else:
            self.broker.kill()  # what was not synced is in the memory of the broker: a power cut as well
            self.kills += 1
        for client in self.clients:
            client.end()
        self.clients = [client.next_life(self.broker.port) for client in self.clients]

    def stop_and_cut(self):
        """The power goes during a stop."""
        self.broker.process.send_signal(signal.SIGTERM)
        code = self.broker.process.wait(2 * broker.SLOW)
        assert code in (0, LOSSY_EXIT), self.broker.obituary()
        self.stops += code == 0
        self.stop_cuts += code == LOSSY_EXIT

    def round(self):
        if not self.broker.begin((dice.randrange(2**31), some_calls())):
            self.early_cuts += 1
        else:
            self.work()
        # Cuts during the recovery, or while nobody does anything.
        while dice.random() < 0.4:
            if not self.broker.begin((dice.randrange(2**31), dice.randrange(1, 12))):
                self.early_cuts += 1
            elif dice.random() < 0.5:
                self.stop_and_cut()
            else:
                self.broker.kill()
        assert self.broker.begin()
        self.verify()
        if dice.random() < 0.3:
            self.halt()
            assert self.broker.begin()
            self.verify()
        if dice.random() < 0.5:
            self.halt()
        else:
            self.broker.kill()

    def run(self, deadline):
        try:
            for _ in range(ROUNDS):
                if time.monotonic() > deadline:
                    break
                self.round()
            assert self.broker.begin()
            self.verify()
            eq(self.broker.halt(), [])
        except BaseException:
            print("data directory:", self.broker.data, "(kept)")
            self.broker.kill()
            raise
        self.broker.remove()


@check
def every_promise_is_kept():
    if not has_lossy_disk():
        skip("needs a test build (TOKKI_FAULTS)")
    deadline, lives = time.monotonic() + SECONDS, []
    while time.monotonic() < deadline:
        lives.append(Life(len(lives)))
        lives[-1].run(deadline)
    counts = {n: sum(getattr(life, n) for life in lives) for n in ("cuts", "early_cuts", "stop_cuts", "kills", "stops")}
    clients = [client for life in lives for client in life.clients]
    print(
        f"{len(lives)} directories, {counts}, confirmed {sum(c.confirmed for c in clients)}, "
        f"redelivered {sum(c.returned for c in clients)}, "
        f"unflagged {sum(a.unflagged for c in clients for a in c.accounts)}"
    )


main()
