"""The corpus in its file: cases with the answers that were recorded, in text that people can read."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.contract.bridge.answers.bridges import World, bridge
from tests.contract.bridge.answers.exchange import Answered, Case, exchange, normalise

_VECTORS = Path(__file__).parents[3] / "vectors"
FILE = _VECTORS / "answers.json"
DOCUMENT = _VECTORS / "answers_openapi.json"
"""The body of the one answer that is as long as all others together."""

_DOCUMENT_MARK = "{{the body in answers_openapi.json}}"
_REPEATED = re.compile(r"\{\{(.)\*(\d+)\}\}", re.DOTALL)
_LONG = re.compile(r"(.)\1{199,}", re.DOTALL)
_TOKEN = re.compile(rb"\{\{token:([a-z]+)\}\}")


@dataclass(frozen=True, slots=True)
class Group:
    """Cases that one bridge answers one after the other. ``listener`` is ``public`` or ``callers``."""

    name: str
    bridge: str
    cases: Sequence[Case]
    listener: str = "public"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A case with the answer that was recorded. ``answered`` is None where the issue changes the answer."""

    case: Case
    answered: Answered | None


async def ask(group: Group, world: World) -> list[Answered]:
    """The answers to all cases of the group by the bridge in this tree."""
    tokens, found = world.tokens(), []
    async with bridge(group.bridge, group.listener, world) as port:
        for case in group.cases:
            sent = tuple(fill(piece, tokens) for piece in case.sent)
            filled = Case(case.name, sent, case.answers, case.after)
            try:
                given = await exchange(port, filled)
            except Exception as error:
                raise RuntimeError(f"{group.name}: {case.name}: {error!r}") from error
            answers = tuple(normalise(one, b"".join(sent), world.ports) for one in given.answers)
            found.append(Answered(answers, given.after))
    return found


def fill(piece: bytes, tokens: Mapping[str, str]) -> bytes:
    """The piece with a token in place of its name."""
    return _TOKEN.sub(lambda match: tokens[match[1].decode()].encode(), piece)


def shorten(data: bytes) -> str:
    """Bytes as text, each a character. A character that is repeated often is written once, with its number."""
    text = _LONG.sub(lambda match: f"{{{{{match[1]}*{len(match[0])}}}}}", data.decode("latin-1"))
    assert lengthen(text) == data, "it holds what looks like a shortened text"
    return text


def lengthen(text: str) -> bytes:
    """The bytes that ``shorten`` was given."""
    return _REPEATED.sub(lambda match: match[1] * int(match[2]), text).encode("latin-1")


def _write_answer(answer: bytes) -> list[str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = [shorten(line) for line in head.split(b"\r\n")]
    return [*lines, "", _DOCUMENT_MARK if body and body == _read_document() else shorten(body)]


def _read_answer(lines: Sequence[str]) -> bytes:
    *head, _, body = lines
    found = _read_document() if body == _DOCUMENT_MARK else lengthen(body)
    return b"\r\n".join([lengthen(one) for one in head] + [b"", found])


def _read_document() -> bytes:
    return DOCUMENT.read_bytes().removesuffix(b"\n") if DOCUMENT.exists() else b""


def write_corpus(about: str, groups: Sequence[Group], answered: Mapping[str, Sequence[Answered | None]]) -> None:
    """Write the file."""
    entries = [
        {
            "group": group.name,
            "bridge": group.bridge,
            "listener": group.listener,
            "cases": [_write_entry(*one) for one in zip(group.cases, answered[group.name], strict=True)],
        }
        for group in groups
    ]
    FILE.write_text(json.dumps({"about": about, "groups": entries}, indent=0, ensure_ascii=True) + "\n", "utf-8")


def _write_entry(case: Case, found: Answered | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": case.name, "sent": [shorten(piece) for piece in case.sent]}
    entry |= {} if case.answers == 1 else {"answers": case.answers}
    entry |= {} if case.after == "kept" else {"asked": case.after}
    if found is None:
        return entry | {"answered": None}
    return entry | {"answered": [_write_answer(one) for one in found.answers], "after": found.after}


def read_corpus() -> tuple[list[Group], dict[str, list[Recorded]]]:
    """The groups in the file, and what was recorded of each."""
    entries = json.loads(FILE.read_text("utf-8"))["groups"]
    found = {entry["group"]: [_read_entry(one) for one in entry["cases"]] for entry in entries}
    groups = [
        Group(entry["group"], entry["bridge"], [one.case for one in found[entry["group"]]], entry["listener"])
        for entry in entries
    ]
    return groups, found


def _read_entry(entry: Mapping[str, Any]) -> Recorded:
    sent = tuple(map(lengthen, entry["sent"]))
    case = Case(entry["name"], sent, entry.get("answers", 1), entry.get("asked", "kept"))
    answered = entry["answered"]
    if answered is None:
        return Recorded(case, None)
    return Recorded(case, Answered(tuple(map(_read_answer, answered)), entry["after"]))
