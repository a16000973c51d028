"""Writes the digest of the base image into a Dockerfile's ``ARG BASE_IMAGE``: the same bytes at every build.

Usage: ``python pin.py DOCKERFILE``. The digest is that of the tag's list of platforms, as a registry says it now.
Docker's buildx is asked, or else skopeo. Exit code 1 with one line means that no registry has answered, and nothing is
written.
"""

import re
import subprocess
import sys
from pathlib import Path

_BASE = re.compile(r"^(ARG BASE_IMAGE=)([^\s@]+)(?:@\S+)?$", re.MULTILINE)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_COMMANDS = (
    ("docker", "buildx", "imagetools", "inspect", "--format", "{{.Manifest.Digest}}", "{}"),
    ("skopeo", "inspect", "--format", "{{.Digest}}", "docker://docker.io/library/{}"),
)


def ask(image: str) -> str | None:
    """The digest that the registry has for a tag, or None when nobody can say."""
    for command in _COMMANDS:
        try:
            words = [one.replace("{}", image) if one.endswith("{}") else one for one in command]
            done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0 and _DIGEST.fullmatch(done.stdout.strip()):
            return done.stdout.strip()
    return None


def pin(text: str, digest: str) -> str:
    """The Dockerfile's text with the digest behind the tag, in the place of an older one."""
    return _BASE.sub(rf"\g<1>\g<2>@{digest}", text)


def main(file: Path) -> int:
    text = file.read_text("utf-8")
    found = _BASE.search(text)
    if found is None:
        print(f"{file.name} has no line ARG BASE_IMAGE=image:tag.", file=sys.stderr)
        return 1
    if (digest := ask(found[2])) is None:
        print(f"No registry says the digest of {found[2]} (docker buildx, skopeo): it stays as it is.", file=sys.stderr)
        return 1
    file.write_text(pin(text, digest), "utf-8")
    print(f"{found[2]}@{digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
