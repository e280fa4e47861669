# SPDX-License-Identifier: Apache-2.0
# kill -9 under load from several kinds of clients: three rounds of bench/kill, all of it accounted for. timeout: 120
from crash import *
from harness import *
from killing import Rounds

SEED = int(os.environ.get("TOKKI_SEED", random.randrange(10**9)))
ROUNDS = int(os.environ.get("TOKKI_CRASH_ROUNDS", "3"))
print("seed", SEED)


def has_pika():
    try:
        import pika
    except ImportError:
        return False
    return bool(pika)


@check
def nothing_confirmed_is_lost():
    with Rounds(SEED, has_pika=has_pika()) as rounds:
        for _ in range(ROUNDS):
            rounds.run(rounds.dice.uniform(0.5, 1.5))
        print(rounds.summary())
        assert not rounds.is_wrong(), rounds.summary()
        assert rounds.sums["confirmed"] > 100 * ROUNDS, "hardly anything was confirmed"


main()
