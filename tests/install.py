"""Finds or installs the programs that the tests need and pip does not bring: browser, compilers, proxies, Prometheus.

They are Chromium, Go, Java, Maven, PHP, Rust, HAProxy, nginx, Prometheus and its promtool, bubblewrap and Helm;
for ``make trial`` (argument ``trial``) buildah and debootstrap, too.

Run with the project's Python: ``.venv/bin/python tests/install.py``. For each program, in this order:

1. the one recorded by an earlier run, if it still works: nothing to do;
2. for Chromium only: Playwright's own, downloaded if need be;
3. one that the machine has on its PATH, or where its own installer puts it;
4. Debian's package, as root or through a sudo that asks no password. Prometheus's is only downloaded (19 MB), and its
   two programs are taken out of it into ``.venv``: nothing is installed, and its dozen web libraries are left out;
5. for Helm, which Debian does not have: compiled into ``.venv`` by Go, from Go's module proxy. That takes five minutes
   of one processor, once.

The packages of HAProxy and nginx would begin to serve the machine. What is installed here does not, neither now nor
after the next start of the machine: the tests start processes of their own.

A program counts only once it has worked: a download can succeed and still miss a system library. What was found, the
path of an executable or ``playwright``, is recorded in ``.venv/programs``, where the tests read it. Exit code 1 means
that one is missing, and the last lines say which packages to install. Standard library only.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

RECORDS = Path(sys.prefix) / "programs"
PLAYWRIGHT = "playwright"

# Chromium refuses to run its sandbox as root, which is what containers are.
LAUNCH = """
import os, sys
from playwright.sync_api import sync_playwright
path = None if sys.argv[1] == "playwright" else sys.argv[1]
with sync_playwright() as p:
    p.chromium.launch(executable_path=path, chromium_sandbox=os.geteuid() != 0, timeout=30_000).close()
"""

APT = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120")

# Runs "$@", and lets packages start nothing in the meantime: that is what policy-rc.d is asked. One that the machine
# has already is left alone. Then the service, $0, is told not to start with the machine.
WITHOUT_SERVICE = """
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    printf '#!/bin/sh\\nexit 101\\n' > $policy && chmod 755 $policy || exit 1
fi
"$@" || exit 1
update-rc.d "$0" disable
"""

# Downloads by "$@" into the folder, $0, and keeps of each package what is in its usr/bin.
UNPACK = """
cd "$0" && "$@" || exit 1
for package in *.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x ./usr/bin && rm "$package" || exit 1
done
"""


@dataclass(frozen=True)
class Program:
    """What to look for, by name or path, Debian's package, and what shows that it works, ``{}`` being its path."""

    name: str
    package: str
    commands: tuple[str, ...]
    proof: tuple[str, ...]
    service: str = ""
    """The system's service that the package brings, if it brings one."""
    for_trial: bool = False
    """Whether only ``make trial`` needs it."""
    unpacked: bool = False
    """Whether the program is taken out of the package, which is not installed."""
    module: str = ""
    """The Go module that the program is compiled of, with its version. It has no package then."""
    linked: str = ""
    """What the linker writes into it."""

    @property
    def record(self) -> Path:
        return RECORDS / self.name

    @property
    def own_copy(self) -> Path:
        """Where a program lies that was taken out of its package, or compiled."""
        if self.module:
            return Path(sys.prefix) / "go-programs" / self.name
        return Path(sys.prefix) / self.package / "usr" / "bin" / self.name

    @property
    def hint(self) -> str:
        if self.module:
            return f"no {self.name} for the tests: let Go compile it (go install {self.module}), and put it on the PATH"
        return f"no {self.name} for the tests: install the package '{self.package}' (apt-get install {self.package})"


PROGRAMS = (
    Program(
        "chromium",
        "chromium",
        ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
        (sys.executable, "-c", LAUNCH, "{}"),
    ),
    Program("go", "golang-go", ("go", "/usr/local/go/bin/go"), ("{}", "version")),
    Program("java", "default-jdk-headless", ("java",), ("{}", "--version")),
    Program("javac", "default-jdk-headless", ("javac",), ("{}", "--release", "17", "--version")),
    Program("mvn", "maven", ("mvn",), ("{}", "--version")),
    Program("php", "php-cli", ("php",), ("{}", "-r", "exit(PHP_VERSION_ID < 80100 ? 1 : 0);")),
    Program("cargo", "cargo", ("cargo", "~/.cargo/bin/cargo"), ("{}", "--version")),
    Program("haproxy", "haproxy", ("haproxy", "/usr/sbin/haproxy"), ("{}", "-v"), service="haproxy"),
    Program("nginx", "nginx-light", ("nginx", "/usr/sbin/nginx"), ("{}", "-v"), service="nginx"),
    Program("bwrap", "bubblewrap", ("bwrap",), ("{}", "--unshare-user", "--ro-bind", "/", "/", "true")),
    Program("buildah", "buildah", ("buildah",), ("{}", "--version"), for_trial=True),
    Program(
        "debootstrap", "debootstrap", ("debootstrap", "/usr/sbin/debootstrap"), ("{}", "--version"), for_trial=True
    ),
    Program("prometheus", "prometheus", ("prometheus",), ("{}", "--version"), unpacked=True),
    Program("promtool", "prometheus", ("promtool",), ("{}", "--version"), unpacked=True),
    # Version 4 has other commands. Go must stand above: it compiles this one.
    Program(
        "helm",
        "",
        ("helm",),
        ("sh", "-c", '"$0" version --short | grep -q ^v3', "{}"),
        module="helm.sh/helm/v3/cmd/helm@v3.22.0",
        # The Kubernetes that charts are rendered for, as in Helm's own releases. Else it would be 1.20.
        linked="-X {0}.k8sVersionMajor=1 -X {0}.k8sVersionMinor=37".format("helm.sh/helm/v3/pkg/chartutil"),
    ),
)


def find(name: str) -> str:
    """The program recorded under this name. Raises ``LookupError`` that says what to do."""
    program = next(one for one in PROGRAMS if one.name == name)
    if not program.record.exists():
        raise LookupError(f"{program.hint}, then run 'make programs'")
    return program.record.read_text().strip()


def main() -> int:
    RECORDS.mkdir(exist_ok=True)
    wanted = [program for program in PROGRAMS if "trial" in sys.argv[1:] or not program.for_trial]
    missing = [program for program in wanted if not settle(program)]
    for program in missing:
        print(program.hint, file=sys.stderr)
    return 1 if missing else 0


def settle(program: Program) -> bool:
    """Finds or installs one, and records it."""
    for path in candidates(program):
        if run([part.replace("{}", path) for part in program.proof], seconds=60):
            program.record.write_text(path + "\n")
            return True
    program.record.unlink(missing_ok=True)
    return False


def candidates(program: Program) -> Iterator[str]:
    """What to try, cheapest first; a step that costs time is taken only when the ones before did not do."""
    if program.record.exists():
        yield program.record.read_text().strip()
    if program.name == "chromium":
        yield PLAYWRIGHT
        if download_chromium():
            yield PLAYWRIGHT
    yield from on_path(program)
    if program.unpacked or program.module:
        make = compile_module if program.module else unpack_package
        if program.own_copy.exists() or make(program):
            yield str(program.own_copy)
    elif install_package(program):
        yield from on_path(program)


def on_path(program: Program) -> Iterator[str]:
    return filter(None, (shutil.which(os.path.expanduser(one)) for one in program.commands))


def download_chromium() -> bool:
    """Playwright's own download. Where its host is out of reach it fails, at once or at the time limit."""
    say("downloading Playwright's Chromium")
    return run([sys.executable, "-m", "playwright", "install", "chromium"], seconds=300)


def unpack_package(program: Program) -> bool:
    """Downloads the package and takes its programs out. The lists of packages are made fresh where root can do so."""
    if shutil.which("apt-get") is None:
        return False
    find_root()
    say(f"downloading the package {program.package}")
    folder = program.own_copy.parents[2]
    folder.mkdir(exist_ok=True)
    done = run(["sh", "-c", UNPACK, str(folder), *APT, "download", program.package], seconds=900)
    return done and program.own_copy.exists()


def compile_module(program: Program) -> bool:
    """Compiles it by Go. What Go downloads and keeps for that goes afterwards: it is more than a gigabyte."""
    try:
        go = find("go")
    except LookupError:
        return False
    say(f"compiling {program.module}")
    with tempfile.TemporaryDirectory() as folder:
        settings = [
            f"GOBIN={program.own_copy.parent}",
            f"GOPATH={folder}/path",
            f"GOCACHE={folder}/cache",
            "GOFLAGS=-modcacherw",  # else the folder could not be removed
            "GOTOOLCHAIN=auto",  # it takes the Go that the module asks for
            "CGO_ENABLED=0",
        ]
        done = run(["env", *settings, go, "install", f"-ldflags=-s -w {program.linked}", program.module], seconds=1800)
    return done and program.own_copy.exists()


def install_package(program: Program) -> bool:
    root = find_root()
    if root is None:
        return False
    say(f"installing the package {program.package}")
    install = [*APT, "install", "-y", "--no-install-recommends", program.package]
    if not program.service:
        return run([*root, *install], seconds=900)
    return run([*root, "sh", "-c", WITHOUT_SERVICE, program.service, *install], seconds=900)


@functools.cache
def find_root() -> list[str] | None:
    """What goes before a command of root's, once apt-get has fresh lists; None when it cannot be had."""
    if shutil.which("apt-get") is None:
        return None
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if root and not run([*root, "true"], seconds=10):
        return None
    run([*root, *APT, "update"], seconds=300)  # one stale source must not stop us: the install decides
    return root


def run(command: list[str], seconds: float) -> bool:
    """Whether a command worked. Its words are dropped: a failure is an expected answer, and the next step's turn."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def say(line: str) -> None:
    print(f"programs: {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
