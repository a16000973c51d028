"""Programs in Java, compiled for the tests by the JDK that tests/install.py has found, and what Maven brings."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from tests.install import find

DEPENDENCY_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.0"
SHORT_LIVED = "-XX:TieredStopAtLevel=1"
"""Halves the processor time of what ends soon: most of what Java's second compiler does pays off later."""
POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tests</groupId>
  <artifactId>tests</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
{}
  </dependencies>
</project>
"""


def compile_java(source: Path, folder: Path, class_path: str = "") -> None:
    """Compile one file into the folder, as Java 17.

    Raises:
        LookupError: The JDK is not installed. The text says what to do.
        RuntimeError: It does not compile. The text is the compiler's.
    """
    arguments = [f"-J{SHORT_LIVED}", "--release", "17", "-Xlint:all,-serial", "-Werror", "-d", str(folder)]
    _run([find("javac"), *arguments, "-cp", class_path, str(source)], folder)


def find_class_path(dependency: str) -> str:
    """The jars that a ``<dependency>`` names, with all that they need, as a class path.

    They are kept in .venv. What is there already is not asked for again.

    Raises:
        LookupError: Maven is not installed. The text says what to do.
        RuntimeError: It does not get them. The text is Maven's.
    """
    kept = Path(sys.prefix) / "maven"
    kept.mkdir(exist_ok=True)
    name = hashlib.sha256(dependency.encode()).hexdigest()[:16]
    pom, written = kept / f"{name}.xml", kept / f"{name}.classpath"
    if not written.exists():
        pom.write_text(POM.format(dependency), "utf-8")
        options = ["-q", "-B", "-f", str(pom), f"-Dmaven.repo.local={kept}", f"-Dmdep.outputFile={written}"]
        _run([find("mvn"), *options, f"{DEPENDENCY_PLUGIN}:build-classpath"], kept)
    return written.read_text("utf-8")


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, env=dict(os.environ), capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
