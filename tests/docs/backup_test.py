#!/usr/bin/env python3
"""deploy/backup/tern-backup under load, on two PostgreSQL shards, and what comes back on fresh servers.

While people chat all databases are dumped several times, the first time while friendships and rooms are being made. Each copy has to be one
moment of the whole: no conversation has a hole, nothing that was stored before is missing, and no row depends on a newer one of another shard.
The chat itself must not notice (history checker). The last copy is restored into a new cluster; its history checker stays green, too.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "observe"))
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from local_cluster import BINARIES, CHEAP_LOGINS, SOURCE, Cluster, Load  # noqa: E402
from operations_test import dsn_of  # noqa: E402

SCRIPT = os.path.join(SOURCE, "deploy", "backup", "tern-backup")
COPIES = 3
COMMIT_SECONDS = 5  # a message's time is taken before its commit, by less than this
SHARDS = (0, 1)


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def select(dsn, what):
    return [tuple(line.split("|")) for line in run("psql", "-XqAt", dsn, "-c", what).splitlines()]


def back_up(cluster, directory):
    """Returns the wall clock before it began, in ns, and how long commits were held, in ms."""
    before = time.time_ns()
    said = run(SCRIPT, directory, *(f"shard-{i}={dsn_of(cluster, i)}" for i in SHARDS), "--meta", dsn_of(cluster, "meta"))
    return before, int(said.split("commits held for ")[1].split()[0])


def restored(cluster, directory, number, i):
    """The copy of a shard as a database of its own, beside the one that goes on."""
    dsn, name = dsn_of(cluster, i), f"copy_{number}"
    run("psql", "-Xq", dsn, "-c", f"create database {name}")
    copy = dsn.replace("dbname=tern", f"dbname={name}")
    run("pg_restore", "--no-owner", f"--dbname={copy}", os.path.join(directory, f"shard-{i}.dump"))
    return copy


class Moment:
    """What the shards have in them, read from all of them."""

    def __init__(self, dsns):
        def everything(what):
            return [row for dsn in dsns for row in select(dsn, what)]
        self.messages = {(hi, lo, int(mid)): int(at) for hi, lo, mid, at in
                         everything("select conv_hi, conv_lo, mid, timestamp_ns from message")}
        self.pairs = {(hi, lo): (a, b, int(version)) for hi, lo, a, b, version in
                      everything("select conv_hi, conv_lo, a, b, relation_version from conversation")}
        self.rosters = {(account, other): int(version) for account, other, version in
                        everything("select account, other, version from roster")}
        self.rooms = {room: int(version) for room, version in everything("select id, version from room")}
        self.lists = {(account, room): int(version) for account, room, version in
                      everything("select account, room, version from account_room")}

    def problems(self):
        """Rows that could not be there together at any moment."""
        found = []
        by_conversation = {}
        for hi, lo, mid in self.messages:
            by_conversation.setdefault((hi, lo), []).append(mid)
        for which, mids in by_conversation.items():
            if which not in self.pairs:
                found.append(f"messages without their conversation {which}")
            if max(mids) != len(mids):
                found.append(f"a hole in conversation {which}: {len(mids)} messages up to {max(mids)}")
        versions = {}
        for a, b, version in self.pairs.values():
            versions[a, b] = versions[b, a] = version
        for who, version in self.rosters.items():
            if versions.get(who, -1) < version:
                found.append(f"the roster of {who} knows version {version}, the pair has {versions.get(who)}")
        for (account, room), version in self.lists.items():
            if self.rooms.get(room, -1) < version:
                found.append(f"{account}'s list knows version {version} of room {room}, which has {self.rooms.get(room)}")
        return found


def check_copies(cluster, copies, now):
    for number, (directory, before, held) in enumerate(copies):
        copy = Moment([restored(cluster, directory, number, i) for i in SHARDS])
        problems = copy.problems()
        assert not problems, f"copy {number} is no moment: {problems[:5]}"
        stored = {key for key, at in now.messages.items() if at < before - COMMIT_SECONDS * 10**9}
        missing = stored - copy.messages.keys()
        assert not missing, f"copy {number} lacks {len(missing)} of {len(stored)} messages from before it"
        assert not copy.messages.keys() - now.messages.keys(), "a copy knows what was never stored"
        print(f"copy {number}: {len(copy.messages)} messages, {len(copy.rosters)} roster rows, {len(copy.rooms)} rooms,"
              f" commits held for {held} ms", flush=True)
        assert held < 1000, "commits were held too long"


def chat(cluster, directory, name, seconds, during=lambda: None):
    with Load(BINARIES, directory, cluster.gateways(), name=name, accounts=24, rate=60, rooms=3) as load:
        during()
        load.wait_started()
        time.sleep(seconds)
        during()
        end = load.stop()
        assert load.child.returncode == 0 and not end.get("violations"), f"{name}: {end}"
        print(f"{name}: {end['sent']} sent, {end['received']} received, no promise broken", flush=True)


def restore(cluster, directory):
    """As docs/operations.md says: with everything stopped."""
    for node in cluster.nodes.values():
        node.program.stop()
    for i in SHARDS:
        run("pg_restore", "--clean", "--if-exists", "--no-owner", "--single-transaction", f"--dbname={dsn_of(cluster, i)}",
            os.path.join(directory, f"shard-{i}.dump"))
    run("pg_restore", "--clean", "--if-exists", "--no-owner", "--single-transaction", f"--dbname={dsn_of(cluster, 'meta')}",
        os.path.join(directory, "meta.dump"))
    for node in cluster.nodes.values():
        node.program.start()
    cluster.wait_ready()


def main():
    copies = []
    with tempfile.TemporaryDirectory(prefix="tern-backup-") as work:
        os.chmod(work, 0o755)
        first = os.path.join(work, "first")
        os.makedirs(first)
        with Cluster(BINARIES, first, settings=CHEAP_LOGINS) as cluster:
            cluster.wait_ready()

            def during():  # the first ones while people make friends, the last one while they chat
                for _ in range(1 if copies else COPIES):
                    directory = os.path.join(work, f"copy-{len(copies)}")
                    copies.append((directory, *back_up(cluster, directory)))
            chat(cluster, first, "people", 5, during)
            now = Moment([dsn_of(cluster, i) for i in SHARDS])
            assert now.messages and now.rosters and now.lists, "nobody did anything"
            check_copies(cluster, copies, now)
            expected = len(Moment([dsn_of(cluster, i).replace("dbname=tern", f"dbname=copy_{COPIES}") for i in SHARDS]).messages)
            second = os.path.join(work, "second")
            os.makedirs(os.path.join(second, "cluster"))
            for key in ("identity.key", "encryption.key"):
                shutil.copy2(os.path.join(cluster.directory, key), os.path.join(second, "cluster", key))
        with Cluster(BINARIES, second, settings=CHEAP_LOGINS) as cluster:
            cluster.wait_ready()
            restore(cluster, copies[-1][0])
            back = Moment([dsn_of(cluster, i) for i in SHARDS])
            assert len(back.messages) == expected, (len(back.messages), expected)
            chat(cluster, second, "others", 5)
            assert sum(cluster.metric(node.name, "tern_storage_rows_refused_total") for node in cluster.named("storage")) == 0
    print("ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
