#!/usr/bin/env python3
"""Each rule of lint.py finds what it is there for, in a small tree made for it."""
import os
import subprocess
import tempfile
import unittest

import lint


class Tree(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.addCleanup(self.dir.cleanup)
        subprocess.run(["git", "init", "-q", self.dir.name], check=True)

    def write(self, path, text):
        full = os.path.join(self.dir.name, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)

    def find(self, check):
        return list(check(self.dir.name, lint.files_of(self.dir.name)))

    def test_dependencies_point_one_way(self):
        allowed = [("services/a/x.cpp", "libs/wire/y.hpp"), ("services/a/x.cpp", "services/a/y.hpp"),
                   ("services/ternd/x.cpp", "services/a/y.hpp"), ("libs/app/x.cpp", "libs/rpc/y.hpp"),
                   ("tests/x/y.cpp", "services/a/y.hpp"), ("libs/config/x_test.cpp", "libs/testing/y.hpp")]
        refused = [("libs/wire/x.cpp", "services/a/y.hpp"), ("services/a/x.cpp", "services/b/y.hpp"),
                   ("libs/base/x.cpp", "libs/log/y.hpp"), ("libs/log/x.cpp", "libs/config/y.hpp"),
                   ("libs/rpc/x.cpp", "libs/app/y.hpp"), ("libs/rpc/x.cpp", "network.hpp"),
                   ("services/a/x.cpp", "tests/y.hpp")]
        for source, target in allowed:
            self.assertIsNone(lint.include_problem(source, target), (source, target))
        for source, target in refused:
            self.assertIsNotNone(lint.include_problem(source, target), (source, target))

    def test_an_include_names_a_file(self):
        self.write("libs/base/a.cpp", '#include "libs/base/b.hpp"\n')
        self.assertEqual(len(self.find(lint.check_includes)), 1)
        self.write("libs/base/b.hpp", "")
        self.assertEqual(self.find(lint.check_includes), [])

    def test_what_is_included_is_linked(self):
        self.write("libs/base/CMakeLists.txt", "tern_library(base SOURCES a.cpp)\n")
        self.write("libs/wire/CMakeLists.txt", "tern_library(wire SOURCES a.cpp)\n")
        self.write("libs/wire/a.cpp", '#include "libs/base/b.hpp"\n')
        self.assertEqual(len(self.find(lint.check_links)), 1)
        self.write("libs/wire/CMakeLists.txt", "tern_library(wire SOURCES a.cpp LINK tern::base)\n")
        self.assertEqual(self.find(lint.check_links), [])

    def test_long_files_and_unfinished_work_are_found(self):
        self.write("libs/a.cpp", "\n" * 601)
        self.write("libs/b.cpp", "// TO" + "DO\n")
        self.write("libs/c.cpp", "int a; \n")
        self.assertEqual(len(self.find(lint.check_texts)), 3)

    def test_fields_of_log_lines_that_hide_others_are_found(self):
        self.write("libs/a.cpp", 'log.info("x (", {{"member", f(1)}, {"n", 2}});\n')
        self.assertEqual(self.find(lint.check_log_keys), [])
        self.write("libs/b.cpp", 'log.info("x",\n         {{"a", f(1)}, {"node", 2}});\n')
        self.write("libs/c.cpp", 'log->warn("x", {{"a", 1}, {"a", 2}});\n')
        self.assertEqual(len(self.find(lint.check_log_keys)), 2)

    def test_dead_links_of_pages_are_found(self):
        self.write("docs/a.md", "[x](b.md) [y](https://example.org) `[z](c.md)` [w](#here)\n")
        self.assertEqual(len(self.find(lint.check_links_of_pages)), 1)
        self.write("docs/b.md", "")
        self.assertEqual(self.find(lint.check_links_of_pages), [])

    def test_broken_scripts_are_found(self):
        self.write("tools/a.py", "def\n")
        self.write("tools/b.sh", "if\n")
        self.assertEqual(len(self.find(lint.check_scripts)), 3)


if __name__ == "__main__":
    unittest.main()
