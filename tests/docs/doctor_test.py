#!/usr/bin/env python3
"""ternctl doctor and ternctl debug bundle against a real cluster: one fault after the other, each to be named as the
one cause; and a bundle in which everything is found but secrets.

    doctor_test.py [--quick] [CASE …]

Needs root for the full disk only (a small tmpfs under one database); that case is left out for others.
"""
import json
import os
import pwd
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "observe"))
from local_cluster import BINARIES, CHEAP_LOGINS, Cluster, Load, Program, free_port, wait_for  # noqa: E402

POSTGRES = next((os.path.join("/usr/lib/postgresql", v, "bin") for v in sorted(os.listdir("/usr/lib/postgresql"), reverse=True)))
AS_ROOT = os.geteuid() == 0
META_PASSWORD, REDIS_PASSWORD, LOGIN_PASSWORD = "meta-s3cret-4711", "redis-s3cret-0815", "login-s3cret-1234"
CHATTER = "chatterprobe"
FILES_OF_A_NODE = {"status.json", "config.yaml", "metrics.txt", "log.txt", "readyz.txt", "livez.txt", "startupz.txt"}
FILES_OF_ALL = {"versions.txt", "doctor.txt", "doctor.json", "cluster/status.json", "cluster/nodes.json",
                "cluster/ranges.json", "cluster/moves.json", "cluster/ranges.txt"}


def run(command, **how):
    return subprocess.run(command, capture_output=True, text=True, check=True, **how).stdout


class MetaDatabase:
    """PostgreSQL for routing alone, so that it can be away while every shard is there."""

    def __init__(self, directory):
        self.home, self.port = os.path.join(directory, "meta"), free_port()
        os.makedirs(self.home)
        owner = {}
        if AS_ROOT:
            who = pwd.getpwnam("postgres")
            os.chown(self.home, who.pw_uid, who.pw_gid)
            owner = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": [], "cwd": "/"}
        run([os.path.join(POSTGRES, "initdb"), "-D", self.home + "/data", "-A", "trust", "-U", "tern", "--no-sync"], **owner)
        self.program = Program.__new__(Program)
        self.program.__dict__.update(name="meta", pid=None, child=None, log=None, user=owner.get("user"), command=[
            os.path.join(POSTGRES, "postgres"), "-D", self.home + "/data", "-p", str(self.port), "-k", self.home,
            "-c", "listen_addresses=127.0.0.1"])
        self.program.start()
        wait_for(lambda: subprocess.run([os.path.join(POSTGRES, "pg_isready"), "-q", "-h", "127.0.0.1", "-p",
                                         str(self.port)], check=False).returncode == 0, 30)

    def dsn(self):
        return f"host=127.0.0.1 port={self.port} dbname=postgres user=tern password={META_PASSWORD}"


class Certificates:
    """An authority, a certificate for each service and one for operators; and what goes wrong with them."""

    def __init__(self, directory):
        self.home = os.path.join(directory, "certificates")
        os.makedirs(self.home)
        for name in ("ca", "other-ca"):
            self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "30",
                         "-subj", f"/CN={name}", "-keyout", self.file(f"{name}.key"), "-out", self.file(f"{name}.pem"))
        for service in ("routing", "storage", "group", "session", "gateway", "ternctl"):
            self.make(service, service, 30)

    def openssl(self, *words):
        run(["openssl", *words], cwd=self.home)

    def file(self, name):
        return os.path.join(self.home, name)

    def make(self, name, service, days, ca="ca"):
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-subj", f"/CN={service}",
                     "-keyout", self.file(f"{name}.key"), "-out", self.file(f"{name}.req"))
        with open(self.file(f"{name}.ext"), "w") as extra:
            extra.write(f"subjectAltName=DNS:{service}\nextendedKeyUsage=serverAuth,clientAuth\n")
        self.openssl("x509", "-req", "-in", self.file(f"{name}.req"), "-CA", self.file(f"{ca}.pem"), "-CAkey",
                     self.file(f"{ca}.key"), "-CAcreateserial", "-days", str(days), "-out", self.file(f"{name}.pem"),
                     "-extfile", self.file(f"{name}.ext"))

    def settings(self):
        out = [f"rpc.tls.ca_file={self.file('ca.pem')}"]
        for service in ("routing", "storage", "group", "session", "gateway"):
            out += [f"{service}:rpc.tls.certificate_file={self.file(service + '.pem')}",
                    f"{service}:rpc.tls.key_file={self.file(service + '.key')}"]
        return out

    def flags(self):
        return ["--tls-ca", self.file("ca.pem"), "--tls-cert", self.file("ternctl.pem"), "--tls-key", self.file("ternctl.key")]


class Scene:
    def __init__(self, directory):
        self.directory = directory
        os.chmod(directory, 0o755)  # PostgreSQL runs as a user of its own
        self.certificates = Certificates(directory)
        self.meta = MetaDatabase(directory)
        self.small_disk = os.path.join(directory, "cluster", "postgres-1")
        if AS_ROOT:
            os.makedirs(self.small_disk)
            run(["mount", "-t", "tmpfs", "-o", "size=220m", "none", self.small_disk])
            os.chmod(self.small_disk, 0o755)
        password_file = os.path.join(directory, "redis.password")
        with open(os.open(password_file, os.O_CREAT | os.O_WRONLY, 0o600), "w") as out:
            out.write(REDIS_PASSWORD)
        self.cluster = Cluster(BINARIES, directory, routings=2, settings=[
            *CHEAP_LOGINS, *self.certificates.settings(), f"routing:routing.meta.dsn={self.meta.dsn()}",
            f"storage:storage.redis.password_file={password_file}", "log.level=debug"])
        redis_port = self.cluster.servers["redis"].command[2]
        run(["redis-cli", "-p", redis_port, "config", "set", "requirepass", REDIS_PASSWORD])
        self.cluster.servers["redis"].command += ["--requirepass", REDIS_PASSWORD]
        self.config = os.path.join(self.cluster.directory, "ternctl.yaml")

    def ctl(self, *words):
        done = subprocess.run([os.path.join(BINARIES, "ternctl"), *words, "--config", self.config,
                               *self.certificates.flags()], capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout, done.stderr

    def doctor(self):
        """(exit code, causes, the whole answer)."""
        code, out, err = self.ctl("doctor", "--json")
        if not out:
            raise RuntimeError(f"ternctl doctor: code {code}: {err}")
        said = json.loads(out)
        return code, [each["subject"] for each in said["causes"]], said

    def node(self, name):
        return self.cluster.nodes[name].program

    def restart(self, name, *settings, number=signal.SIGTERM):
        """With further options, until heal() starts it as it was."""
        program = self.node(name)
        program.stop(number)
        kept, program.command = program.command, program.command + [w for s in settings for w in ("--set", s)]
        program.start()
        program.command = kept


def fault_shard(scene):
    server = scene.cluster.servers["postgres-0"]
    server.stop(signal.SIGINT)
    return "shard shard-0", server.start


def fault_meta(scene):
    scene.meta.program.stop(signal.SIGINT)
    return "meta database", scene.meta.program.start


def fault_redis(scene):
    server = scene.cluster.servers["redis"]
    server.kill()
    return "redis", server.start


def killed(name):
    def fault(scene):
        scene.node(name).kill()
        return name, scene.node(name).start
    return fault


def fault_gateways(scene):
    for name in ("gateway-0", "gateway-1"):
        scene.node(name).kill()
    return ["gateway-0", "gateway-1"], lambda: [scene.node(n).start() for n in ("gateway-0", "gateway-1")]


def fault_all_routing(scene):
    for name in ("routing-0", "routing-1"):
        scene.node(name).kill()
    return ["routing-0", "routing-1"], lambda: [scene.node(n).start() for n in ("routing-0", "routing-1")]


def restarted(name, *settings):
    """With other options."""
    def fault(scene):
        texts = [each.format(dir=scene.directory, certificates=scene.certificates.home) for each in settings]
        scene.restart(name, *texts)
        return name, lambda: scene.restart(name)
    return fault


def fault_expired(scene):
    scene.certificates.make("expired", "session", -1)
    return restarted("session-1", "rpc.tls.certificate_file={certificates}/expired.pem",
                     "rpc.tls.key_file={certificates}/expired.key")(scene)


def fault_foreign(scene):
    scene.certificates.make("foreign", "storage", 30, "other-ca")
    return restarted("storage-1", "rpc.tls.ca_file={certificates}/other-ca.pem",
                     "rpc.tls.certificate_file={certificates}/foreign.pem",
                     "rpc.tls.key_file={certificates}/foreign.key")(scene)


def fault_identity(scene):
    path = os.path.join(scene.directory, "other-identity.key")
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as out:
        out.write("00" * 32)
    # Of four nodes with the key one is another.
    return restarted("gateway-1", "identity.key_file={dir}/other-identity.key")(scene)


def fault_wrong_user(scene):
    with open(os.path.join(scene.cluster.directory, "storage-1.yaml")) as text:
        shards = next(line for line in text if "shards:" in line)
    shards = ",".join(part.strip(' []"\n') for part in shards.partition(":")[2].split(","))
    return restarted("storage-1", "storage.shards=" + shards.replace("user=tern", "user=nobody"))(scene)


def fault_disk(scene):
    filler = os.path.join(scene.small_disk, "filler")
    with open(filler, "wb") as out:
        try:
            while True:
                out.write(bytes(1 << 16))
                out.flush()
        except OSError:
            pass
    return "shard shard-1", lambda: os.unlink(filler)


def fault_frozen(scene):
    scene.node("group-0").send(signal.SIGSTOP)
    return "group-0", lambda: scene.node("group-0").send(signal.SIGCONT)


FAULTS = {
    "database of a shard down": fault_shard,
    "meta database down": fault_meta,
    "Redis down": fault_redis,
    "session node killed": killed("session-1"),
    "storage node killed": killed("storage-0"),
    "no gateway": fault_gateways,
    "a routing replica killed": killed("routing-0"),
    "no routing": fault_all_routing,
    "expired certificate": fault_expired,
    "certificate of another authority": fault_foreign,
    "another identity key": fault_identity,
    "wrong user of one node for its databases": fault_wrong_user,
    "disk full": fault_disk,
    "a node hangs": fault_frozen,
    "a node cut off from routing": restarted("session-0", "routing.address=unix:/nowhere/routing"),
    "a node announces a wrong address": restarted("session-1", "rpc.advertise_address=unix:/nowhere/session"),
}


QUICK = ("bundle", "database of a shard down", "meta database down", "Redis down", "storage node killed",
         "expired certificate", "another identity key", "a node cut off from routing")


def check_fault(scene, name, inject):
    began = time.monotonic()
    expected, heal = inject(scene)
    expected = sorted([expected] if isinstance(expected, str) else expected)
    last, since, took = None, None, None
    try:
        # Nothing else may be named at any moment, and the answer has to stay: a node that is just being started again
        # is named at once, and then there are some seconds in which links are allowed to be down.
        while since is None or time.monotonic() - since < 2:
            code, causes, _ = last = scene.doctor()
            if not set(causes) <= set(expected):
                raise TimeoutError("something else was named")
            if sorted(causes) != expected or code != 2:
                since = None
            elif since is None:
                since = time.monotonic()
                took = since - began
            if time.monotonic() - began > 30:
                raise TimeoutError("not named")
            time.sleep(0.3)
    except TimeoutError as why:
        raise AssertionError(f"{name}: expected {expected}, but {last[1]} (code {last[0]}, {why}):\n"
                             + json.dumps([c for c in last[2]["checks"] if c["level"] != "ok"], indent=1)) from why
    finally:
        heal()
    wait_well(scene)
    print(f"ok  {name}: {', '.join(expected)} ({took:.1f} s, healed after {time.monotonic() - began:.1f} s)", flush=True)


def wait_well(scene):
    last = None

    def well():
        nonlocal last
        last = scene.doctor()
        return not last[1]
    try:
        wait_for(well, 60, 0.3)
    except TimeoutError as why:
        raise AssertionError("not well again: " + json.dumps(
            [c for c in last[2]["checks"] if c["level"] != "ok"], indent=1)) from why


def secrets_of(scene):
    with open(os.path.join(scene.cluster.directory, "identity.key")) as key:
        out = {"the identity key": key.read().strip(), "Redis' password": REDIS_PASSWORD, "a database password": META_PASSWORD,
               "a login's password": LOGIN_PASSWORD, "names and messages": CHATTER, "a private key": "PRIVATE KEY"}
    for name in os.listdir(scene.certificates.home):
        if name.endswith(".key"):
            with open(scene.certificates.file(name)) as key:
                out[f"a line of {name}"] = key.read().splitlines()[1]
    return out


def check_bundle(scene):
    gateway = scene.cluster.gateways()[0]
    for _ in range(2):  # once new, once refused
        body = b"\x8e" + json.dumps({"name": CHATTER + "-one", "pwd": LOGIN_PASSWORD}).encode()
        with urllib.request.urlopen(urllib.request.Request(f"http://{gateway}/tim2", body), timeout=10) as answer:
            assert answer.read()
    with Load(BINARIES, scene.directory, scene.cluster.gateways(), name=CHATTER, accounts=8, rate=40, rooms=1,
              more=()) as load:
        load.wait_started()
        time.sleep(2)
        load.stop()
    path = os.path.join(scene.directory, "bundle.tar.gz")
    code, out, err = scene.ctl("debug", "bundle", "--output", path)
    assert code == 0, f"debug bundle: code {code}: {out}{err}"
    assert os.stat(path).st_mode & 0o777 == 0o600
    with tarfile.open(path) as archive:
        files = {member.name.partition("/")[2]: archive.extractfile(member).read().decode() for member in archive}
    missing = {name for name in FILES_OF_ALL if not files.get(name)}
    for node in scene.cluster.nodes:
        missing |= {f"{node}/{name}" for name in FILES_OF_A_NODE if not files.get(f"nodes/{node}/{name}")}
    assert not missing, f"not in the bundle, or empty: {sorted(missing)}"
    for node, of in scene.cluster.nodes.items():
        assert f"node.name: \"{node}\"" in files[f"nodes/{node}/config.yaml"]
        assert "tern_build_info" in files[f"nodes/{node}/metrics.txt"]
        assert json.loads(files[f"nodes/{node}/status.json"])["node"] == node
        assert '"service started"' in files[f"nodes/{node}/log.txt"] or of.service in files[f"nodes/{node}/log.txt"]
    assert "password=***" in files["nodes/routing-0/config.yaml"], files["nodes/routing-0/config.yaml"]
    assert "identity.key: \"***\"" in files["nodes/gateway-0/config.yaml"], files["nodes/gateway-0/config.yaml"]
    for what, secret in secrets_of(scene).items():
        leaks = [name for name, text in files.items() if secret in text]
        assert not leaks, f"{what} is in {leaks}"
    print(f"ok  bundle: {len(files)} files, none of {len(secrets_of(scene))} secrets", flush=True)


def main():
    wanted = [word for word in sys.argv[1:] if word != "--quick"] or (list(QUICK) if "--quick" in sys.argv else [])
    with tempfile.TemporaryDirectory(prefix="tern-doctor-") as directory:
        small_disk = os.path.join(directory, "cluster", "postgres-1")
        scene, failures = None, []
        try:
            scene = Scene(directory)
            scene.cluster.wait_ready()
            wait_well(scene)
            if not wanted or "bundle" in wanted:
                check_bundle(scene)
            for name, inject in FAULTS.items():
                if wanted and name not in wanted:
                    continue
                if inject is fault_disk and not AS_ROOT:
                    print("needs root: disk full", flush=True)
                    continue
                try:
                    check_fault(scene, name, inject)
                except AssertionError as why:
                    failures.append(name)
                    print(f"FAILED  {why}", flush=True)
        finally:
            if scene is not None:
                scene.cluster.stop()
                scene.meta.program.stop(signal.SIGINT)
            if AS_ROOT and os.path.ismount(small_disk):
                subprocess.run(["umount", "-l", small_disk], check=False)
        if failures:
            sys.exit(f"{len(failures)} failed: {', '.join(failures)}")


if __name__ == "__main__":
    main()
