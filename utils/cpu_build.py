#!/usr/bin/env python3
"""Name the newest CPU build of a package that a requirements file allows and pip finds, as in torch==2.9.1+cpu.

Usage: cpu_build.py <requirements.txt> <package>

PyPI's torch for Linux on x86_64 brings CUDA libraries; PyTorch's own index has builds without, whose versions end in
+cpu. Prints nothing if the file does not ask for the package, or the Python that runs this has it already. Leaves with
1 if pip finds no such build.
"""

import re
import subprocess
import sys

from check_requirements import installed_version
from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.version import Version


def main() -> int:
    """Look for the build of the command line."""
    file, package = sys.argv[1:]
    with open(file, encoding="utf-8") as stream:
        line = next((line for line in stream if re.match(rf"{re.escape(package)}\b", line)), None)
    if line is None:
        return 0
    allowed = Requirement(line.partition("#")[0].strip()).specifier
    version = installed_version(package)
    if version is not None and allowed.contains(version, prereleases=True):
        return 0
    command = [sys.executable, "-m", "pip", "index", "versions", "--disable-pip-version-check", package]
    told = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
    builds = [Version(text) for text in re.findall(r"[0-9][0-9.]*\+cpu\b", told)]
    builds = [build for build in builds if allowed.contains(build)]
    if builds:
        print(f"{package}=={max(builds)}")
    return 0 if builds else 1


if __name__ == "__main__":
    sys.exit(main())
