"""The settings of proxies on the page about operations are taken by the proxies."""

import re
import subprocess
from pathlib import Path

from tests.e2e.processes import ROOT, free_port
from tests.install import find

PAGE = (ROOT / "docs/operations.md").read_text("utf-8")


def find_block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def check(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr.lower(), done.stderr


def test_haproxy_takes_its_part(tmp_path: Path) -> None:
    file = tmp_path / "haproxy.cfg"
    file.write_text(find_block("haproxy"))
    check(find("haproxy"), "-c", "-f", str(file))


def test_nginx_takes_its_part(tmp_path: Path) -> None:
    part = find_block("nginx").replace("listen 80;", f"listen 127.0.0.1:{free_port()};")  # a test of it binds the port
    file = tmp_path / "nginx.conf"
    paths = "".join(f"{name}_temp_path {tmp_path};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    file.write_text(f"pid {tmp_path}/nginx.pid;\nevents {{}}\nhttp {{\naccess_log off;\n{paths}{part}}}\n")
    check(find("nginx"), "-t", "-e", "stderr", "-p", str(tmp_path), "-c", str(file))
