#!/usr/bin/python3
"""Builds and runs the C unit test of lists, waits and asserts; its TAP is this test's."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))

if __name__ == "__main__":
    subprocess.run(["make", "-s", "-C", os.path.join(HERE, "unit")], check=True)
    sys.exit(subprocess.run(
        [os.path.join(HERE, "../../build/http-unit/test_base"), *sys.argv[1:]]).returncode)
