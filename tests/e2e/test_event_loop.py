"""uvloop is not built for every platform: the bridge runs without it."""

import os
from pathlib import Path

from tests.e2e.processes import free_port, run_bridge

HIDING = "import sys\nsys.modules['uvloop'] = None\nprint('uvloop is hidden', flush=True)\n"


def test_it_serves_where_uvloop_is_not_installed(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(HIDING)
    folders = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    with run_bridge(free_port(), free_port(), {"PYTHONPATH": folders}) as bridge:
        assert "uvloop is hidden" in bridge.lines
