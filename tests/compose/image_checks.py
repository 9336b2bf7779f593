"""What images must be, whoever runs them."""
import glob
import io
import json
import os
import re
import tarfile

from stack import Failed

IMAGE = "tern:local"
MOST_MIB = 60
BASE = os.environ.get("BASE", "debian:bookworm-slim")


def of(engine, image):
    return json.loads(engine.run("image", "inspect", image))[0]


def shape(engine, image):
    """Size, user, labels, signals."""
    built, base = of(engine, image), of(engine, BASE)
    beyond = (built["Size"] - base["Size"]) / 2**20
    config = built["Config"]
    labels = config.get("Labels") or {}
    problems = []
    if beyond > MOST_MIB:
        problems.append(f"{beyond:.1f} MiB beyond its base")
    if config["User"] in ("", "0", "root", "0:0"):
        problems.append("runs as root")
    if config.get("StopSignal") != "SIGTERM":
        problems.append("STOPSIGNAL")
    if not config.get("Healthcheck"):
        problems.append("no HEALTHCHECK")
    if not re.fullmatch(r"\d+\.\d+\.\d+", labels.get("org.opencontainers.image.version", "")):
        problems.append("no version label")
    if not re.fullmatch(r"[0-9a-f]{12}(-dirty)?", labels.get("org.opencontainers.image.revision", "")):
        problems.append("no revision label")
    if config.get("Env") and any(re.search("PASSWORD|SECRET|TOKEN|KEY", each) for each in config["Env"]):
        problems.append("a secret in its environment")
    if problems:
        raise Failed(f"{image}: " + ", ".join(problems))
    return f"{beyond:.1f} MiB beyond the base of {base['Size'] / 2**20:.1f} MiB; not root"


def mirrors():
    """Names of the hosts that this machine's packages come from, and of its proxies; not public ones."""
    found = set()
    for path in glob.glob("/etc/apt/sources.list*") + glob.glob("/etc/apt/sources.list.d/*") + glob.glob("/etc/apt/apt.conf.d/*"):
        if not os.path.isfile(path):
            continue
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [line for line in file if not re.match(r"\s*(#|//)", line)]
        for line in lines:
            if re.match(r"\s*(deb|URIs:)|.*Proxy", line):
                found.update(re.findall(r"https?://(?:[^/\s\"]*@)?([A-Za-z0-9.-]+)", line))
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        found.update(re.findall(r"https?://(?:[^/@]*@)?([A-Za-z0-9.-]+)", os.environ.get(variable, "")))
    return sorted(each for each in found if not re.search(r"(^|\.)debian\.org$|^localhost$|^127\.", each))


def names_in(stream, names, where):
    """Which of `names` stand in the files of a tar stream, nested layers included."""
    found = set()
    with tarfile.open(fileobj=stream, mode="r|*") as archive:
        for member in archive:
            if not member.isfile():
                continue
            content = archive.extractfile(member).read()
            if member.name.endswith("layer.tar") or (member.name.startswith("blobs/") and content[257:262] == b"ustar"):
                found |= names_in(io.BytesIO(content), names, where + "/" + member.name[:12])
                continue
            found.update(f"{each.decode()} in {where}:{member.name}" for each in names if each in content)
    return found


def no_mirror_inside(engine, images, scratch):
    """No layer, nor the history, tells where packages came from."""
    names = [each.encode() for each in mirrors()]
    control = b"root:x:0:0"  # of /etc/passwd: what is inside is found
    found, controls = set(), 0
    for image in images:
        path = os.path.join(scratch, "image.tar")
        engine.run("save", "-o", path, image, timeout=300)
        with open(path, "rb") as saved:
            here = names_in(saved, [*names, control], image)
        controls += any(control.decode() in each for each in here)
        found |= {each for each in here if not each.startswith(control.decode())}
        os.remove(path)
    if controls != len(images):
        raise Failed(f"a text of every image was found in {controls} of {len(images)} only")
    if found:
        raise Failed("; ".join(sorted(found)[:5]))
    return f"{len(images)} images, {len(names)} host names looked for"
