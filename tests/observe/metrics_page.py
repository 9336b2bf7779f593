"""The tables of docs/metrics.md, made from what processes export."""
import re

SERVICES = ("gateway", "session", "routing", "group", "storage")
# Exported by whoever has such a thing, whatever its service.
WHERE_THERE_IS_ONE = ("tern_dependency_up", "tern_disk_free_bytes", "tern_disk_size_bytes", "tern_schema_version",
                      "tern_tls_certificate_expiry_timestamp_seconds")
# Labels whose values come from a configuration or a build. All others are closed sets, complete from the start.
OPEN = {"shard", "dependency", "path", "version", "commit"}
OPEN_OF = {("tern_build_info", "type"), ("tern_gateway_connections", "tls"),
           ("tern_tls_certificate_expiry_timestamp_seconds", "use")}
LONG = 12  # more values than this are listed once, below the tables
SAMPLE = re.compile(r'([a-z_][a-z0-9_]*)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


class Family:
    def __init__(self, kind, meaning):
        self.kind, self.meaning, self.labels, self.samples = kind, meaning, {}, 0

    def merge(self, other):
        for label, values in other.labels.items():
            self.labels.setdefault(label, set()).update(values)


def parse(text):
    """{name: Family} of an exposition in Prometheus' text format."""
    found, meanings = {}, {}
    for line in text.splitlines():
        if line.startswith("# HELP "):
            _, _, name, meaning = line.split(" ", 3)
            meanings[name] = meaning
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ", 3)
            found[name] = Family(kind, meanings[name])
        elif line:
            name, labels, _ = SAMPLE.match(line).groups()
            bare = re.sub(r"_(bucket|sum|count)$", "", name)
            family = found.get(name) or found[bare]
            family.samples += 1
            for label, value in LABEL.findall(labels or ""):
                if label != "le":
                    family.labels.setdefault(label, set()).add(value)
    return found


def unit(name):
    bare = name.removesuffix("_total")
    for end, what in (("_timestamp_seconds", "seconds since 1970"), ("_time_seconds", "seconds since 1970"),
                      ("_seconds", "seconds"), ("_bytes", "bytes"), ("_ratio", "0 to 1")):
        if bare.endswith(end):
            return what
    if "_bytes_" in bare:
        return "bytes"
    flags = ("_info", "shard_up", "dependency_up", "_ready", "_draining", "_leader", "_behind")
    return "0 or 1" if bare.endswith(flags) else "number"


def is_open(name, label):
    return label in OPEN or (name, label) in OPEN_OF


def labels_text(name, labels):
    parts = []
    for label in sorted(labels):
        values = sorted(labels[label])
        if is_open(name, label):
            parts.append(f"*{label}*")
        elif len(values) > LONG:
            parts.append(f"*{label}* ([below](#long-sets-of-values))")
        else:
            parts.append(f"*{label}*: " + ", ".join(values))
    return "; ".join(parts) or "–"


def sentence(text):
    text = text.rstrip(".").replace("|", "\\|")
    return text[:1].upper() + text[1:]


def table(families):
    lines = ["| name | type | labels | unit | meaning |", "| --- | --- | --- | --- | --- |"]
    for name, one in sorted(families.items()):
        lines.append(f"| `{name}` | {one.kind} | {labels_text(name, one.labels)} | {unit(name)} | {sentence(one.meaning)} |")
    return lines


def union(many):
    out = {}
    for families in many:
        for name, one in families.items():
            out.setdefault(name, Family(one.kind, one.meaning)).merge(one)
    return out


def split(by_service):
    """{heading: {name: Family}} from {service: {name: Family}}, ternd among them."""
    everywhere = set.intersection(*(set(by_service[one]) for one in SERVICES)) - set(WHERE_THERE_IS_ONE)
    everything = union(by_service.values())
    parts = {"Every process": {name: everything[name] for name in everywhere},
             "Where there is one": {name: everything[name] for name in WHERE_THERE_IS_ONE if name in everything}}
    for service in SERVICES:
        parts[service.capitalize()] = {name: one for name, one in by_service[service].items()
                                       if name not in everywhere and name not in WHERE_THERE_IS_ONE}
    return parts


def long_sets(parts):
    lines, seen = ["| label | of | values |", "| --- | --- | --- |"], {}
    for families in parts.values():
        for name, one in families.items():
            for label, values in one.labels.items():
                if not is_open(name, label) and len(values) > LONG:
                    seen.setdefault((label, ", ".join(sorted(values))), set()).add(name)
    for (label, values), names in sorted(seen.items()):
        lines.append(f"| *{label}* | {', '.join(f'`{name}`' for name in sorted(names))} | {values} |")
    return lines


def tables(by_service):
    """{heading: lines}"""
    parts = split(by_service)
    made = {heading: table(families) for heading, families in parts.items()}
    made["Long sets of values"] = long_sets(parts)
    return made


def tables_of_page(text):
    """The same, from the page."""
    found, heading = {}, None
    for line in text.splitlines():
        if line.startswith("## "):
            heading = line[3:]
        elif line.startswith("|"):
            found.setdefault(heading, []).append(line)
    return found


def rewrite(text, made):
    """The page with these tables."""
    out, heading, written = [], None, set()
    for line in text.splitlines():
        if line.startswith("## "):
            heading = line[3:]
        if line.startswith("|") and heading in made:
            if heading not in written:
                out += made[heading]
                written.add(heading)
            continue
        out.append(line)
    return "\n".join(out) + "\n"
