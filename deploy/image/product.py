"""Takes what is for development out of the signalr-bridge that is installed beside this Python.

That is the emulator, ``dev``, the demo's handlers, and ``testing`` with its pytest plugin. The page stays, for it is
the console, too.
"""

import shutil
from importlib.metadata import Distribution, distribution
from pathlib import Path

FOR_DEVELOPMENT = ("demo", "dev", "dev_secret", "dev_settings", "emulator", "fixtures", "testing")
_RECORD = "RECORD"
_ENTRY_POINTS = "entry_points.txt"


def take_out(package: Distribution) -> None:
    folder = Path(str(package.locate_file("signalr_bridge")))
    for name in FOR_DEVELOPMENT:
        found = [*folder.glob(f"{name}.py"), *folder.glob(f"__pycache__/{name}.*"), *folder.glob(f"{name}/")]
        if not found:
            raise SystemExit(f"product.py: signalr_bridge has no {name}.")
        for path in found:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    _forget(package)


def _forget(package: Distribution) -> None:
    """The package's own list of files, and of what it offers to others, names only what is there."""
    metadata = next(Path(str(package.locate_file(one))) for one in package.files or [] if one.name == _RECORD).parent
    points = (metadata / _ENTRY_POINTS).read_text("utf-8").split("\n\n")
    (metadata / _ENTRY_POINTS).write_text("\n\n".join(one for one in points if "fixtures" not in one), "utf-8")
    gone = tuple(f"signalr_bridge/{name}{end}" for name in FOR_DEVELOPMENT for end in (".py,", "/"))
    lines = (metadata / _RECORD).read_text("utf-8").splitlines(keepends=True)
    kept = [one for one in lines if not one.startswith(gone) and _ENTRY_POINTS not in one]
    (metadata / _RECORD).write_text("".join(kept), "utf-8")


if __name__ == "__main__":
    take_out(distribution("signalr-bridge"))
