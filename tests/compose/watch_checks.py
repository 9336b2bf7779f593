"""What can be seen of a running stack: hardening, memory, metrics, logs, secrets."""
import json
import os
import re
import urllib.parse

from stack import OTHERS, OURS, Failed, poll

MOST_MIB_EACH = 50
MOST_MIB_ALL = 1024


def hardening(stack):
    """As few rights as it takes, for every container that runs."""
    problems = []
    services = [each for each in stack.services() if each != "secrets"]
    for service in services:
        one = stack.inspect(service)
        host, config = one["HostConfig"], one["Config"]
        wants = {
            "root file system can be written": host["ReadonlyRootfs"],
            "keeps capabilities": host["CapDrop"] == ["ALL"] and not host["CapAdd"],
            "may gain privileges": any(each.startswith("no-new-privileges") for each in host["SecurityOpt"] or []),
            "runs as root": config["User"] not in ("", "0", "root"),
            "no limit of memory": host["Memory"] > 0,
            "no limit of processes": (host["PidsLimit"] or 0) > 0,
            "is not restarted": host["RestartPolicy"]["Name"] == "unless-stopped",
            "no health condition": bool(config.get("Healthcheck", {}).get("Test")),
        }
        problems += [f"{service} {what}" for what, good in wants.items() if not good]
    if problems:
        raise Failed("; ".join(problems))
    return f"{len(services)} containers: read-only, no capabilities, not root, limits, restart, health"


def resident(pid):
    """RSS and PSS in MiB; zero for a process that is gone."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            values = dict(re.findall(r"^(Rss|Pss):\s+(\d+) kB", file.read(), re.M))
    except (FileNotFoundError, ProcessLookupError):
        return 0, 0
    return int(values["Rss"]) / 1024, int(values["Pss"]) / 1024


def memory(stack):
    """(resident MiB of each of ours, shared pages counted once in all)"""
    each, everything = {}, 0.0
    for service in OURS + OTHERS:
        values = [resident(pid) for pid in stack.pids(service)]
        everything += sum(pss for _, pss in values)
        if service in OURS:
            each[service] = sum(rss for rss, _ in values)
    worst = max(each, key=each.get)
    said = f"{everything:.0f} MiB in all; ours at most {each[worst]:.0f} MiB ({worst})"
    if each[worst] > MOST_MIB_EACH or everything > MOST_MIB_ALL:
        raise Failed(said + ": " + ", ".join(f"{name} {value:.0f}" for name, value in each.items()))
    return said


def query(stack, what):
    answer = json.loads(stack.get(stack.prometheus, "/api/v1/query?query=" + urllib.parse.quote(what)))
    return answer["data"]["result"]


def metrics(stack, root):
    """Prometheus has every node, with its labels, and the rules."""
    poll(lambda: len([1 for each in query(stack, 'up{job="tern"}') if each["value"][1] == "1"]) == len(OURS), 60,
         "not every node is scraped")
    services = {each["metric"].get("service") for each in query(stack, 'up{job="tern"}')}
    if services != {re.sub(r"-\d+$", "", each) for each in OURS}:
        raise Failed(f"services by label: {services}")
    series = int(query(stack, 'count({job="tern"})')[0]["value"][1])
    groups = json.loads(stack.get(stack.prometheus, "/api/v1/rules"))["data"]["groups"]
    rules = os.path.join(root, "deploy/prometheus/rules")
    wanted = any(name.endswith(".yml") for _, _, files in os.walk(rules) for name in files)
    if wanted and not groups:
        raise Failed("Prometheus has loaded no rules of deploy/prometheus")
    targets = json.loads(stack.get(stack.prometheus, "/api/v1/alertmanagers"))["data"]["activeAlertmanagers"]
    if len(targets) != 1 or json.loads(stack.get(stack.alertmanager, "/api/v2/status"))["config"]["original"] == "":
        raise Failed("Prometheus knows no Alertmanager")
    return f"{len(OURS)} nodes scraped, {series} series, {sum(len(each['rules']) for each in groups)} rules"


def alerts(stack):
    """Nothing is wrong yet, and no alert says so."""
    names = {state: sorted({each["metric"]["alertname"] for each in query(stack, f'ALERTS{{alertstate="{state}"}}')})
             for state in ("firing", "pending")}
    if names["firing"]:
        raise Failed("in a healthy stack: " + ", ".join(names["firing"]))
    groups = json.loads(stack.get(stack.prometheus, "/api/v1/rules?type=alert"))["data"]["groups"]
    bad = [rule["name"] for group in groups for rule in group["rules"] if rule["health"] == "err"]
    if bad:
        raise Failed("cannot be evaluated: " + ", ".join(bad))
    return (f"{sum(len(group['rules']) for group in groups)} alerts, none fires; pending: "
            + (", ".join(names["pending"]) or "none"))


def logs(stack):
    """JSON lines of every service of ours, with name and time; nothing that says an error in a healthy start."""
    lines = 0
    for service in OURS:
        said = [json.loads(each) for each in stack.engine.log_of(stack.name(service)).splitlines()]
        if not any(each.get("msg") == "started" and each.get("node") == service for each in said):
            raise Failed(f"{service} does not say that it has started")
        for each in said:
            if not {"ts", "level", "service", "msg"} <= each.keys():
                raise Failed(f"{service}: {each}")
            if each["level"] == "error":
                raise Failed(f"{service}: {each}")
        lines += len(said)
    return f"{lines} lines of JSON, no error"


def secrets_of(stack, image):
    """Every secret value there is now, as text."""
    shown = stack.engine.run("run", "--rm", "--network", "none", "-v", f"{stack.project}_secrets:/secrets:ro", "--entrypoint",
                             "bash", image, "-c", "cd /secrets; for each in *.key *.password*; do cat $each; echo; done")
    return {line.strip() for line in shown.splitlines() if len(line.strip()) >= 32 and "PRIVATE KEY" not in line}


def no_secret_shown(stack, values):
    """In no definition, process, log or image of the stack."""
    if len(values) < 10:
        raise Failed(f"only {len(values)} secrets found: is something looked for?")
    looked, control = 0, 0
    for service in stack.services():
        container = stack.name(service)
        places = {"definition": stack.engine.run("inspect", container), "log": stack.engine.log_of(container)}
        for pid in stack.pids(service) if service != "secrets" else []:
            for what in ("environ", "cmdline"):
                try:
                    with open(f"/proc/{pid}/{what}", "rb") as file:
                        places[f"{what} of {pid}"] = file.read().decode(errors="replace")
                except (FileNotFoundError, ProcessLookupError):
                    continue
        for where, text in places.items():
            looked += 1
            control += "TERN_NODE_NAME" in text
            if any(value in text for value in values):
                raise Failed(f"a secret in {where} of {service}")
    # What is shown is found: in the definition and in the environment of each node.
    if control < 2 * len(OURS):
        raise Failed(f"a variable of every node was found {control} times only")
    return f"{len(values)} secrets in none of {looked} places"
