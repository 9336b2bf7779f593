"""What happens to a running stack while clients chat; the history checker has the last word each time."""
import os
import subprocess

import watch_checks
from image_checks import IMAGE
from load import Load
from stack import OTHERS, OURS, Failed, poll

HERE = os.path.dirname(os.path.abspath(__file__))


def clean_ends(stack, service):
    """How often it has said that it drained and ended."""
    return stack.engine.log_of(stack.name(service)).count('"msg":"ended"')


def kills(test):
    """SIGKILL to each container in turn, then a drained restart of each tier; the checker has the last word."""
    stack = test.stack
    load = Load(test.verify, stack.port, test.scratch)
    times = {}
    try:
        load.flows()
        for service in OURS + OTHERS + ("prometheus", "alertmanager"):
            load.say("fault")
            times[service] = stack.crash(service)
            load.flows()
            load.say("healed")
            print(f"compose-test:   {service} killed, healthy again after {times[service]:.0f} s", flush=True)
        for service in ("gateway-0", "session-0", "group-0", "storage-0", "routing-0"):
            ends = clean_ends(stack, service)
            load.say("fault")
            stack.compose("restart", service)
            poll(lambda service=service: stack.healthy(service), 60, f"{service} is not healthy")
            load.flows()
            load.say("healed")
            if clean_ends(stack, service) != ends + 1:
                raise Failed(f"{service} did not drain and end by itself")
        end = load.finish()
    finally:
        load.close()
    worst = max(times, key=times.get)
    return (f"{len(times)} containers killed, 5 restarted; {end['answered']} of {end['sent']} messages answered, "
            f"{end['received']} received, no promise broken; healthy again after at most {times[worst]:.0f} s ({worst})")


def upgrade(test):
    """Every node replaced by one of another image while people chat."""
    stack, engine = test.stack, test.engine
    fresh = f"tern:next-{os.getpid()}"
    engine.run("build", "-q", "-t", fresh, os.path.join(HERE, "next"), "--build-arg", "IMAGE=" + IMAGE)
    load = Load(test.verify, stack.port, test.scratch, naps=0)
    try:
        load.flows()
        load.say("fault")
        done = subprocess.run([os.path.join(stack.directory, "upgrade"), fresh], env=stack.environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=400, check=False)
        if done.returncode != 0:
            raise Failed((done.stderr + done.stdout).strip()[-400:])
        load.flows()
        load.say("healed")
        terminals = load.now["terminals"]
        end = load.finish()
        old = [each for each in OURS if stack.inspect(each)["Config"]["Image"] != fresh]
    finally:
        load.close()
        stack.compose("up", "-d")
        engine.run("rmi", fresh, check=False)
    if old:
        raise Failed("still of the old image: " + ", ".join(old))
    return (f"{len(OURS)} nodes replaced, {end['answered']} of {end['sent']} messages answered, no promise broken; "
            f"{end['connections']} connections of {terminals} terminals")


def rotation(test):
    """A new database password while people chat: nobody is disconnected, the old one is worth nothing."""
    stack = test.stack
    load = Load(test.verify, stack.port, test.scratch, naps=0)
    try:
        load.flows()
        before = test.secrets | watch_checks.secrets_of(stack, IMAGE)
        done = subprocess.run([os.path.join(stack.directory, "rotate-password")], env=stack.environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode != 0:
            raise Failed((done.stderr + done.stdout).strip()[-400:])
        test.secrets |= watch_checks.secrets_of(stack, IMAGE)
        fresh = test.secrets - before
        load.flows()
        terminals = load.now["terminals"]
        end = load.finish()
    finally:
        load.close()
    if len(fresh) != 1:
        raise Failed(f"{len(fresh)} secrets are new")
    if end["connections"] != terminals:
        raise Failed(f"{end['connections']} connections of {terminals} terminals")
    accepted = {value: login(stack, value) for value in test.secrets if len(value) == 64}
    if [value for value, good in accepted.items() if good] != list(fresh):
        raise Failed("the databases do not take exactly the new password")
    # Connections that are made from now on use the new one.
    for each in ("storage-0", "storage-1", "routing-0"):
        stack.crash(each)
    test.chat()
    return f"no disconnect of {terminals} terminals, old password refused, nodes started with the new one"


def login(stack, password):
    """Both databases take this password over the network."""
    taken = []
    for each in ("postgres-0", "postgres-1"):
        done = subprocess.run(
            [stack.engine.docker, "exec", "-i", stack.name(each), "bash", "-c",
             f"read -r PGPASSWORD; export PGPASSWORD; psql -w -h {each} -U tern -d tern -c 'SELECT 1'"],
            env=stack.engine.environment, input=password + "\n", capture_output=True, text=True, timeout=30, check=False)
        taken.append(done.returncode == 0)
    if len(set(taken)) != 1:
        raise Failed("the databases have different passwords")
    return taken[0]
