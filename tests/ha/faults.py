"""faults.py: what may happen to a machine.  A fault is a generator: it begins, yields, and mends what it did.

Each takes the stack and a generator of random numbers and yields once, between its beginning and its end: the
seconds that it lasts.  What it names is for the report.
"""
import signal
import time


def _one(generator, machines):
    assert machines, "no machine of that kind answers"
    return generator.choice(machines)


def _kill(*machines, down):
    for machine in machines:
        machine.kill(down)
    yield down
    # the machine's init system starts it again


def _stop(machine, seconds=30):
    machine.signal(signal.SIGSTOP)
    yield seconds
    machine.signal(signal.SIGCONT)


def _stop_bit_by_bit(machine, seconds=30):
    """PostgreSQL first: Patroni then waits for it in the middle of its loop, after it has read who leads.

    When it goes on it must not act on what it knew (docker/patroni/bin/patroni-fenced).
    """
    machine.signal(signal.SIGSTOP, "postgres")
    time.sleep(4)
    machine.signal(signal.SIGSTOP)
    yield seconds - 4
    machine.signal(signal.SIGCONT)


def _cut(machine, *chains, seconds=30):
    machine.cut(*chains)
    yield seconds
    machine.mend()


def _fill(machine, seconds=15):
    machine.fill()
    yield seconds
    machine.empty()


def _step(machine, generator, seconds=20):
    machine.step_clock(generator.choice([-3600, -120, 120, 3600]))
    yield seconds
    machine.step_clock(0)


def _down(generator):
    """How long a killed machine is away: a restart, or long enough that another takes over."""
    return generator.choice([2, 30])


FAULTS = {
    "kill primary": lambda s, g: _kill(s.primary(), down=_down(g)),
    "kill standby": lambda s, g: _kill(_one(g, s.standbys()), down=_down(g)),
    "kill synchronous standby": lambda s, g: _kill(_one(g, s.standbys("sync_standby")), down=_down(g)),
    "kill etcd member": lambda s, g: _kill(_one(g, s.etcd), down=_down(g)),
    "kill etcd leader": lambda s, g: _kill(s.etcd_leader() or s.etcd[0], down=_down(g)),
    "kill historiand": lambda s, g: _kill(_one(g, s.proxies), down=_down(g)),
    "stop primary": lambda s, g: _stop(s.primary()),
    "stop primary bit by bit": lambda s, g: _stop_bit_by_bit(s.primary()),
    "stop synchronous standby": lambda s, g: _stop(_one(g, s.standbys("sync_standby"))),
    "stop etcd member": lambda s, g: _stop(_one(g, s.etcd)),
    "stop historiand": lambda s, g: _stop(_one(g, s.proxies)),
    "cut off primary": lambda s, g: _cut(s.primary(), "INPUT", "OUTPUT"),
    "cut off synchronous standby": lambda s, g: _cut(_one(g, s.standbys("sync_standby")), "INPUT", "OUTPUT"),
    "primary hears nothing": lambda s, g: _cut(s.primary(), "INPUT"),
    "primary is not heard": lambda s, g: _cut(s.primary(), "OUTPUT"),
    "standby hears nothing": lambda s, g: _cut(_one(g, s.standbys("sync_standby")), "INPUT"),
    "standby is not heard": lambda s, g: _cut(_one(g, s.standbys("sync_standby")), "OUTPUT"),
    "cut off etcd member": lambda s, g: _cut(_one(g, s.etcd), "INPUT", "OUTPUT"),
    "cut off historiand": lambda s, g: _cut(_one(g, s.proxies), "INPUT", "OUTPUT"),
    "disk of primary full": lambda s, g: _fill(s.primary()),
    "disk of standby full": lambda s, g: _fill(_one(g, s.standbys("sync_standby"))),
    "clock of primary steps": lambda s, g: _step(s.primary(), g),
    "clock of standby steps": lambda s, g: _step(_one(g, s.standbys("sync_standby")), g),
    # two at once, of which at most one has the data
    "kill primary and historiand": lambda s, g: _kill(s.primary(), _one(g, s.proxies), down=_down(g)),
    "kill primary and etcd member": lambda s, g: _kill(s.primary(), _one(g, s.etcd), down=_down(g)),
    "kill primary and etcd leader": lambda s, g: _kill(s.primary(), s.etcd_leader() or s.etcd[0], down=_down(g)),
    "kill standby and etcd leader": lambda s, g: _kill(_one(g, s.standbys("sync_standby")),
                                                       s.etcd_leader() or s.etcd[0], down=_down(g)),
}
