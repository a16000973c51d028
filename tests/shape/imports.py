"""Who imports whom, and where that goes in circles: among modules, and among folders."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

Graph = Mapping[str, set[str]]


def module_graph(package: Path) -> dict[str, set[str]]:
    """Of each module of the package, which others of it it imports, wherever the import stands.

    The face of the package loads what it names when it is first used: its imports do not count.
    """
    modules = {name_module(path, package): path for path in package.rglob("*.py")}
    return {
        name: set() if name == package.name else set(_find_imports(name, path, modules)) - {name}
        for name, path in modules.items()
    }


def name_module(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _find_imports(name: str, path: Path, modules: Mapping[str, Path]) -> Iterator[str]:
    here = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            source = _resolve(here, node)
            named = {f"{source}.{alias.name}" for alias in node.names}
            yield from named & modules.keys()
            if source in modules and named - modules.keys():
                yield source


def _resolve(here: str, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = here.split(".")
    return ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])


def folder_graph(modules: Graph, packages: Iterable[str]) -> dict[str, set[str]]:
    """The same of folders. A module of the topmost folder stands for itself: it has a row of its own in the layers."""
    packages = set(packages)

    def folder_of(module: str) -> str:
        folder = module if module in packages else module.rpartition(".")[0]
        return module if "." not in folder else folder

    graph: dict[str, set[str]] = {}
    for name, imported in modules.items():
        graph.setdefault(folder_of(name), set()).update(map(folder_of, imported))
    return {folder: others - {folder} for folder, others in graph.items()}


def find_packages(package: Path) -> list[str]:
    return [name_module(path, package) for path in package.rglob("__init__.py")]


def find_cycles(graph: Graph) -> list[list[str]]:
    """The groups whose members all import one another, directly or through others."""
    reached = {name: _reach(graph, name) for name in graph}
    groups = {frozenset({name, *(other for other in reached[name] if name in reached[other])}) for name in graph}
    return sorted(sorted(group) for group in groups if len(group) > 1)


def _reach(graph: Graph, start: str) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        fresh = graph.get(waiting.pop(), set()) - reached
        reached |= fresh
        waiting += fresh
    return reached


def cycles_of_modules(package: Path) -> list[list[str]]:
    return find_cycles(module_graph(package))


def cycles_of_folders(package: Path) -> list[list[str]]:
    return find_cycles(folder_graph(module_graph(package), find_packages(package)))
