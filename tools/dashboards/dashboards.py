#!/usr/bin/env python3
"""Writes deploy/grafana/dashboards: the seven pages, from panels described in pages_*.py.

    tools/dashboards/dashboards.py           # write them
    tools/dashboards/dashboards.py --check   # exit code 1 when a file is not what would be written
"""
import json
import os
import sys

import pages_nodes
import pages_runtime
import pages_service

TARGET = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", "..", "deploy", "grafana", "dashboards"))
PAGES = (pages_service.overview, pages_service.latency, pages_service.connections, pages_nodes.storage, pages_nodes.rooms,
         pages_runtime.runtime, pages_nodes.capacity)


def all_pages():
    """{file name: text}"""
    made = [make() for make in PAGES]
    return {one["uid"] + ".json": json.dumps(one, indent=1, ensure_ascii=False) + "\n" for one in made}


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        print(__doc__.strip())
        return 0 if sys.argv[1:] == ["--help"] else 2
    wrong = []
    for name, text in all_pages().items():
        path = os.path.join(TARGET, name)
        if sys.argv[1:]:
            try:
                with open(path, encoding="utf-8") as file:
                    same = file.read() == text
            except FileNotFoundError:
                same = False
            wrong += [] if same else [name]
        else:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
    for name in wrong:
        print(f"{name} is not what tools/dashboards/dashboards.py writes")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
