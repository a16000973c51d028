"""The tree of the product as the README shows it: ``python -m tests.shape.tree`` prints it."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
APP = ROOT / "app" / "signalr_bridge"


TEMPLATES = APP / "templates"
"""What ``init`` writes: programs of their own, and no modules of ours."""


def modules() -> list[Path]:
    return sorted(path for path in APP.rglob("*.py") if TEMPLATES not in path.parents)


def first_line(module: Path) -> str:
    """The first line of a module's docstring, empty when it has none."""
    return (ast.get_docstring(ast.parse(module.read_text("utf-8"))) or "").partition("\n")[0]


def tree_lines() -> list[str]:
    rows = list(_rows(APP))
    width = max(len(path) for path, _ in rows)
    return [f"{path:{width}}    {description}".rstrip() for path, description in rows]


def _rows(package: Path) -> Iterator[tuple[str, str]]:
    """The rooms: a package, for the house itself its modules too, then the packages in it."""
    yield f"{package.relative_to(ROOT).as_posix()}/", first_line(package / "__init__.py")
    if package == APP:
        for module in sorted(package.glob("*.py")):
            if module.name != "__init__.py":
                yield module.relative_to(ROOT).as_posix(), first_line(module)
    for initial in sorted(package.glob("*/__init__.py")):
        yield from _rows(initial.parent)


if __name__ == "__main__":
    print("\n".join(tree_lines()))
