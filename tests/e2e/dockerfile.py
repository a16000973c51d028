"""A Dockerfile as data: its stages, and their instructions, one after the other."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tests.e2e.processes import ROOT

OURS = ROOT / "Dockerfile"


@dataclass(frozen=True)
class Instruction:
    """What follows an instruction's word, with lines that go on joined, and nothing filled in."""

    word: str
    text: str


@dataclass(frozen=True)
class Stage:
    """What a ``FROM`` begins. ``name`` is its number where it has none."""

    name: str
    base: str
    instructions: tuple[Instruction, ...]


@dataclass(frozen=True)
class Dockerfile:
    """``arguments`` are those above the first stage, with their defaults."""

    arguments: Mapping[str, str]
    stages: tuple[Stage, ...]

    def find(self, name: str | None = None) -> Stage:
        """A stage by its name. The last one is the default. Raises ``LookupError`` where there is none."""
        if name is None:
            return self.stages[-1]
        found = [one for one in self.stages if one.name == name]
        if not found:
            raise LookupError(f"no stage {name}")
        return found[0]


def read_dockerfile(text: str) -> Dockerfile:
    """Raises ``ValueError`` for an instruction that nobody here follows, so that none is left out in silence."""
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for one in _split(text):
        if one.word == "FROM":
            match = re.fullmatch(r"(\S+)(?: AS (\S+))?", one.text)
            if match is None:
                raise ValueError(f"not understood: FROM {one.text}")
            stages.append(Stage(match[2] or str(len(stages)), fill(match[1], arguments), ()))
        elif stages:
            last = stages.pop()
            stages.append(Stage(last.name, last.base, (*last.instructions, one)))
        elif one.word == "ARG":
            name, _, default = one.text.partition("=")
            arguments[name] = default
        else:
            raise ValueError(f"before the first FROM: {one.word}")
    return Dockerfile(arguments, tuple(stages))


_WORDS = {"FROM", "ARG", "ENV", "LABEL", "COPY", "RUN", "WORKDIR", "USER", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}


def _split(text: str) -> list[Instruction]:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines)).splitlines()
    found = [Instruction(*line.split(maxsplit=1)) for line in joined]
    if unknown := {one.word for one in found} - _WORDS:
        raise ValueError(f"not understood: {unknown}")
    return found


def fill(text: str, values: Mapping[str, str]) -> str:
    """``$NAME`` and ``${NAME}``. A name without a value is empty, as in a build."""
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda match: values.get(match[1] or match[2], ""), text)
