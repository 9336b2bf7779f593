#!/usr/bin/env python3
"""Checks of the source tree that a compiler does not make. Prints one line per finding, exits with 1 if there is any.

    lint.py [--no-format] [ROOT]
"""
import os
import re
import subprocess
import sys

CPP = (".cpp", ".hpp")
TEXT = CPP + (".md", ".txt", ".cmake", ".proto", ".sh", ".py", ".yaml", ".yml", ".thrift", ".sql", ".html", ".js", ".json")
MOST_LINES = 600
# Libraries everything may stand on, and what each of them may stand on.
LOW = {"base": {"base"}, "config": {"base", "config"}, "log": {"base", "log"}, "metrics": {"base", "metrics"}}
FORBIDDEN = [
    (re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b"), "unfinished work"),
    (re.compile(r"\.\./sha" + r"red|/work/(sha" + r"red|dev|main)"), "path of another place"),
    (re.compile(r"\bDEV-" + r"ONLY\b"), "leftover of development"),
    (re.compile(r"\bhelper" + r"s?\b|\bissue \d", re.I), "word that says nothing to a reader"),
]
GENERATED = ("migrations/", "tim/")  # below the build directory
LOG_CALL = re.compile(r"(?:\.|->)(?:debug|info|warn|error)\(|\b(?:trace|write)\(")
LOG_KEYS = {"ts", "level", "service", "node", "msg", "trace", "stage"}  # every line has them: libs/log/line.cpp
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')


def files_of(root):
    """Every file git knows or would add."""
    listed = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard", "-z"],
                            check=True, capture_output=True).stdout.decode()
    return sorted(f for f in listed.split("\0") if f and os.path.isfile(os.path.join(root, f)))


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


def is_test(path):
    return path.endswith(("_test.cpp", "_suite.hpp", "_suite.cpp")) or "/testing/" in path or path.startswith("tests/")


def include_problem(path, included):
    """Why `path` may not include the project's file `included`; None if it may."""
    source, target = path.split("/"), included.split("/")
    if target[0] not in ("libs", "services", "tools", "tests"):
        return "does not start at the repository's root"
    if source[0] == "libs":
        if target[0] != "libs" and not (is_test(path) and target[0] == "tests"):
            return "libraries stand below " + target[0]
        if is_test(path):
            return None
        if source[1] in LOW and target[1] not in LOW[source[1]]:
            return f"libs/{source[1]} may stand on {', '.join(sorted(LOW[source[1]]))} only"
        if target[1] == "app" and source[1] != "app":
            return "libs/app is the top of the libraries"
    if source[0] == "services":
        if target[0] in ("tools", "tests") and not is_test(path):
            return "services stand below " + target[0]
        if target[0] == "services" and target[1] != source[1] and source[1] != "ternd":
            return "services never include each other"
    return None


def check_includes(root, paths):
    known = set(paths)
    for path in paths:
        if not path.endswith(CPP):
            continue
        for number, line in enumerate(read(root, path).splitlines(), 1):
            match = INCLUDE.match(line)
            if not match or match.group(1) != '"' or match.group(2).startswith(GENERATED):
                continue
            why = include_problem(path, match.group(2))
            if why is None and match.group(2) not in known:
                why = "no such file"
            if why:
                yield f"{path}:{number}: include {match.group(2)}: {why}"


def link_graph(root, paths):
    """Directory -> names of the tern:: targets its CMakeLists.txt mentions; target -> directory."""
    mentions, homes = {}, {}
    for path in paths:
        if os.path.basename(path) != "CMakeLists.txt" or path.count("/") < 2:
            continue
        text, home = read(root, path), os.path.dirname(path)
        mentions[home] = set(re.findall(r"\btern::(\w+)", text))
        for name in re.findall(r"\btern_library\(\s*(\w+)", text):
            homes[name] = home
    return mentions, homes


def reachable(home, mentions, homes):
    """Directories whose libraries `home` links with, directly or through others."""
    seen, todo = {home}, [home]
    while todo:
        for name in mentions.get(todo.pop(), ()):
            other = homes.get(name)
            if other and other not in seen:
                seen.add(other)
                todo.append(other)
    return seen


def check_links(root, paths):
    mentions, homes = link_graph(root, paths)
    for home in mentions:
        linked = reachable(home, mentions, homes)
        wanted = {}
        for path in paths:
            inside = path.startswith(home + "/") and path.endswith(CPP)
            if not inside or any(path.startswith(other + "/") for other in mentions if len(other) > len(home)):
                continue
            for line in read(root, path).splitlines():
                match = INCLUDE.match(line)
                if match and match.group(1) == '"' and match.group(2).startswith("libs/"):
                    wanted.setdefault("/".join(match.group(2).split("/")[:2]), path)
        for target, path in sorted(wanted.items()):
            if target in mentions and target not in linked:
                yield f"{home}/CMakeLists.txt: {path} includes {target}, which is not linked"


def check_texts(root, paths):
    for path in paths:
        if not path.endswith(TEXT) and os.path.basename(path) not in ("Makefile", "CMakeLists.txt"):
            continue
        text = read(root, path)
        if path.endswith(CPP) and text.count("\n") > MOST_LINES:
            yield f"{path}: {text.count(chr(10))} lines, at most {MOST_LINES}"
        for number, line in enumerate(text.splitlines(), 1):
            if line != line.rstrip() and not path.endswith(".md"):
                yield f"{path}:{number}: blanks at the end of the line"
            for pattern, why in FORBIDDEN:
                if pattern.search(line):
                    yield f"{path}:{number}: {why}: {line.strip()[:80]}"


def call_at(text, opened):
    """The call whose parenthesis is at `opened`, to its end."""
    depth = 0
    for at in range(opened, len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if depth == 0:
            return text[opened:at + 1]
    return text[opened:]


def check_log_keys(root, paths):
    for path in paths:
        if not path.endswith(CPP) or is_test(path):
            continue
        text = read(root, path)
        for match in LOG_CALL.finditer(text):
            keys = re.findall(r'\{"([a-z_]+)",', call_at(text, match.end() - 1))
            for key in sorted(LOG_KEYS.intersection(keys)) + sorted({key for key in keys if keys.count(key) > 1}):
                yield f"{path}:{text.count(chr(10), 0, match.start()) + 1}: log field \"{key}\" is on the line already"


def check_links_of_pages(root, paths):
    for path in paths:
        if not path.endswith(".md"):
            continue
        text = re.sub(r"```.*?```|`[^`\n]*`", "", read(root, path), flags=re.S)
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
            if "://" in target or target.startswith("mailto:"):
                continue
            if not os.path.exists(os.path.join(root, os.path.dirname(path), target)):
                yield f"{path}: link to {target}, which is not there"


def check_scripts(root, paths):
    for path in paths:
        full = os.path.join(root, path)
        if path.endswith(".py"):
            try:
                compile(read(root, path), path, "exec")
            except SyntaxError as error:
                yield f"{path}: {error}"
        elif path.endswith(".sh") or path == ".ci/run":
            done = subprocess.run(["bash", "-n", full], capture_output=True, text=True)
            if done.returncode:
                yield f"{path}: {done.stderr.strip()}"
            if not os.access(full, os.X_OK):
                yield f"{path}: not executable"


def check_format(root, paths):
    sources = [path for path in paths if path.endswith(CPP)]
    for at in range(0, len(sources), 50):
        done = subprocess.run(["clang-format", "--dry-run", "-Werror", "--ferror-limit=1", *sources[at:at + 50]],
                              cwd=root, capture_output=True, text=True)
        for path in sorted(set(re.findall(r"^(\S+?):\d+:\d+: error", done.stderr, re.M))):
            yield f"{path}: not formatted (make format)"


def main(arguments):
    formatting = "--no-format" not in arguments
    places = [each for each in arguments if not each.startswith("-")]
    root = places[0] if places else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    paths = files_of(root)
    checks = [check_includes, check_links, check_texts, check_log_keys, check_links_of_pages, check_scripts]
    findings = [finding for check in checks + [check_format] * formatting for finding in check(root, paths)]
    print("\n".join(findings) if findings else f"lint: {len(paths)} files, nothing found")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
