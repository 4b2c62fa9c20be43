"""stack.py: three etcd members, PostgreSQL nodes under Patroni, two historiand, each on a machine of its own."""
import glob
import json
import os
import shutil
import subprocess
import urllib.request

import psycopg2

from machines import WORK, Machine, make_bridge, sh, wait_for

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
BIN = os.environ["PG_BIN"]
USER = "postgres"
# What the test alone sets: less memory, and more frequent checkpoints on small disks.
SETTINGS = """
shared_buffers = '64MB'
max_wal_size = '128MB'
max_slot_wal_keep_size = '256MB'
autovacuum_naptime = '15s'
log_line_prefix = '%m [%p] %a '
"""


def write(path, text, mode=0o644):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)
    shutil.chown(path, USER)


class Stack:
    def __init__(self, nodes, real_disks=False):
        make_bridge()
        size = (lambda megabytes: None) if real_disks else (lambda megabytes: megabytes)
        self.etcd = [Machine(f"etcd{i + 1}", USER, size(200)) for i in range(3)]
        self.nodes = [Machine(f"node{i + 1}", USER, size(1400)) for i in range(nodes)]
        self.proxies = [Machine(f"historiand{i + 1}", USER, size(200)) for i in range(2)]
        self.machines = {machine.name: machine for machine in self.etcd + self.nodes + self.proxies}
        self.conf = os.path.join(WORK, "conf")
        self.bin = os.path.join(WORK, "bin")
        self.write_files()

    def write_files(self):
        """The files of the images, and passwords."""
        os.makedirs(self.conf)
        os.makedirs(self.bin)
        for name in ("docker/postgres/bin", "docker/patroni/bin"):
            for path in glob.glob(os.path.join(TOP, name, "*")):
                shutil.copy(path, self.bin)
        shutil.copy(os.path.join(TOP, "build/historiand"), self.bin)
        sh("gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", os.path.join(WORK, "clock_step.so"),
           os.path.join(TOP, "tests/ha/clock_step.c"))
        for name in ("scripts/database.sql", "docker/postgres/roles.sql", "docker/postgres/pg_hba.conf"):
            shutil.copy(os.path.join(TOP, name), self.conf)
        with open(os.path.join(TOP, "docker/postgres/postgresql.conf"), encoding="utf-8") as file:
            write(os.path.join(self.conf, "postgresql.conf"), file.read() + SETTINGS)
        # the test's own process, which watches the nodes through their sockets, is root
        write(os.path.join(self.conf, "pg_ident.conf"), "".join(f"container {user} postgres\n" for user in (USER, "root")))
        for role in ("historiand", "replicator", "analyst", "patroni"):
            write(os.path.join(self.conf, role), os.urandom(12).hex(), 0o400)

    def start(self):
        cluster = ",".join(f"{m.name}=http://{m.address}:2380" for m in self.etcd)
        for machine in self.etcd:
            own = f"http://{machine.address}"
            machine.start(["etcd"], ETCD_NAME=machine.name, ETCD_DATA_DIR=machine.directory + "/data",
                          ETCD_LISTEN_CLIENT_URLS=f"{own}:2379", ETCD_LISTEN_PEER_URLS=f"{own}:2380",
                          ETCD_ADVERTISE_CLIENT_URLS=f"{own}:2379", ETCD_INITIAL_ADVERTISE_PEER_URLS=f"{own}:2380",
                          ETCD_INITIAL_CLUSTER=cluster, ETCD_INITIAL_CLUSTER_TOKEN="ha",
                          ETCD_HEARTBEAT_INTERVAL="150", ETCD_ELECTION_TIMEOUT="1500",
                          ETCD_UNSUPPORTED_ARCH=os.uname().machine)
        for machine in self.nodes:
            self.start_node(machine)
        wait_for("the database and a synchronous standby", self.ready, 120)
        for machine in self.proxies:
            self.start_proxy(machine, self.nodes)

    def start_proxy(self, machine, nodes):
        hosts = ",".join(m.address for m in nodes)
        common = f"host={hosts} dbname=historian user=historiand connect_timeout=3 tcp_user_timeout=10000 " \
                 "keepalives_idle=5 keepalives_interval=2 keepalives_count=3 "
        os.makedirs(machine.directory + "/spool", exist_ok=True)
        shutil.chown(machine.directory + "/spool", USER)
        machine.start([self.bin + "/historiand"], HISTORIAND_LISTEN=f"{machine.address}:8080",
                      HISTORIAND_SPOOL_DIR=machine.directory + "/spool",
                      HISTORIAND_DATABASE=common + "target_session_attrs=read-write",
                      HISTORIAND_READ_DATABASE=common + "target_session_attrs=any",
                      HISTORIAND_READ_FROM="standby-preferred",
                      HISTORIAND_LOAD_TIMEOUT="10s", HISTORIAND_INSECURE="on",
                      HISTORIAND_DATABASE_PASSWORD_FILE=self.conf + "/historiand",
                      **json.loads(os.environ.get("HA_HISTORIAND", "{}")))

    def node_environment(self, machine):
        os.makedirs(machine.directory + "/run", exist_ok=True)
        shutil.chown(machine.directory + "/run", USER)
        return dict(
            NODE_NAME=machine.name, NODE_ADDRESS=machine.address, PGDATA=machine.directory + "/data", BIN_DIR=BIN,
            ETCD_HOSTS=",".join(m.address + ":2379" for m in self.etcd), CONF_FILE=self.conf + "/postgresql.conf",
            SOCKET_DIR=machine.directory + "/run", POST_BOOTSTRAP=self.bin + "/post-bootstrap", WATCHDOG_MODE="off",
            PGHOST=machine.directory + "/run", SQL_DIR=self.conf, PATH=self.bin + ":" + BIN + ":" + os.environ["PATH"],
            SYNCHRONOUS_MODE="true" if len(self.nodes) > 1 else "false",
            **{role.upper() + "_PASSWORD_FILE": f"{self.conf}/{role}"
               for role in ("historiand", "replicator", "analyst", "patroni")})

    def start_node(self, machine, **more):
        environment = {**self.node_environment(machine), **more}
        text = subprocess.run([self.bin + "/patroni-config"], env={**os.environ, **environment}, check=True,
                              capture_output=True, text=True).stdout
        path = os.path.join(self.conf, machine.name + ".yml")
        write(path, text, 0o600)
        machine.start(["env", *machine.clock_environment(), os.environ.get("HA_PATRONI") or self.bin + "/patroni-fenced", path],
                      **environment)

    def patroni(self, machine, path):
        """The answer of Patroni's REST API, or None."""
        try:
            with urllib.request.urlopen(f"http://{machine.address}:8008{path}", timeout=2) as answer:
                return json.load(answer)
        except (OSError, ValueError):
            return None

    def members(self):
        """{name: (role, state)} as the first node that answers has them."""
        for machine in self.nodes:
            cluster = self.patroni(machine, "/cluster")
            if cluster and cluster.get("members"):
                return {m["name"]: (m["role"], m["state"]) for m in cluster["members"]}
        return {}

    def primary(self):
        """The machine with the leader key, or None."""
        for name, (role, _) in self.members().items():
            if role == "leader":
                return self.machines[name]
        return None

    def standbys(self, role=None):
        return [self.machines[name] for name, (is_role, _) in self.members().items()
                if is_role != "leader" and role in (None, is_role)]

    def progress(self):
        """What changes while nodes that are not back yet come back, and stays the same while they do not.

        A node that streams replays what the load writes all the time, so that it is no sign of anything.
        """
        members = self.members()
        moving = {}
        for machine in self.nodes:
            role, state = members.get(machine.name, (None, None))
            own = self.patroni(machine, "/patroni") or {}
            moving[machine.name] = (role, state, own.get("state"), own.get("timeline"))
            if state not in ("running", "streaming"):
                xlog, disk = own.get("xlog", {}), os.statvfs(machine.directory)
                moving[machine.name] += (xlog.get("replayed_location"), xlog.get("received_location"),
                                         disk.f_bfree * disk.f_bsize // 2**20)
        return moving

    def whole(self):
        """Every node is there, one leads, and the others stream from it, one of them synchronously."""
        members = self.members()
        if len(members) != len(self.nodes) or any(state not in ("running", "streaming") for _, state in members.values()):
            return False
        leader = [name for name, (role, _) in members.items() if role == "leader"]
        # Patroni names the synchronous standby a few loops after commits go on
        named = [name for name, (role, _) in members.items() if role == "sync_standby"]
        if len(leader) != 1 or len(named) != (len(self.nodes) > 1):
            return False
        try:
            rows = self.sql(self.machines[leader[0]],
                            "SELECT count(*), count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')) "
                            "FROM pg_stat_replication WHERE state = 'streaming'")
        except psycopg2.Error:
            return False
        return rows[0][0] == len(self.nodes) - 1 and (rows[0][1] >= 1 or len(self.nodes) == 1)

    def ready(self):
        if not self.whole():
            return False
        try:
            return self.sql(self.primary(), "SELECT 1 FROM pg_class WHERE relname = 'measurement'")
        except psycopg2.Error:
            return False

    def connect(self, machine, database="historian"):
        return psycopg2.connect(host=machine.directory + "/run", user="postgres", dbname=database, connect_timeout=5)

    def sql(self, machine, statement):
        connection = self.connect(machine)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def etcd_leader(self):
        for machine in self.etcd:
            text = sh("timeout", "3", "env", "ETCDCTL_API=3", "etcdctl", "--endpoints",
                      f"http://{machine.address}:2379", "endpoint", "status", check=False)
            if ", true, " in text:
                return machine
        return None
