from __future__ import annotations

import random

from tests.engines.kills import DAEMON_SIGNALS, DaemonKills

DAEMONS = ("slurmctld", "node1", "node2")


def test_each_daemon_is_killed_once_by_each_signal_before_one_is_again() -> None:
    kills = DaemonKills(DAEMONS, random.Random(0))
    rounds = [[kills.take(lambda daemon: True) for _ in range(len(DAEMONS) * len(DAEMON_SIGNALS))] for _ in range(4)]
    every = {(daemon, signum) for daemon in DAEMONS for signum in DAEMON_SIGNALS}
    assert all(set(pairs) == every for pairs in rounds)
    assert len({tuple(pairs) for pairs in rounds}) > 1, "always in one order"


def test_a_daemon_that_is_away_keeps_its_turn() -> None:
    kills = DaemonKills(DAEMONS, random.Random(0))
    expected = DaemonKills(DAEMONS, random.Random(0)).take(lambda daemon: True)
    assert kills.take(lambda daemon: False) is None
    assert kills.take(lambda daemon: True) == expected
