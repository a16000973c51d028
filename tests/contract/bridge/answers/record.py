"""Writes the corpus anew: ``python -m tests.contract.bridge.answers.record``, on a tree whose answers are right."""

import asyncio
import re

import uvloop

from tests.contract.bridge.answers.bridges import trusted_issuer, world
from tests.contract.bridge.answers.cases import CHANGES, GROUPS
from tests.contract.bridge.answers.corpus import DOCUMENT, ask, write_corpus
from tests.contract.bridge.answers.exchange import Answered

ABOUT = (
    "What the bridge answered before the front, the protocol and the client were written anew. Written by "
    "python -m tests.contract.bridge.answers.record; what is sent stands in tests/contract/bridge/answers/cases. "
    "Bytes are written as characters, {{x*300}} is x 300 times, {{token:name}} a token of the test's own issuer."
)


async def record() -> dict[str, list[Answered | None]]:
    """The answers of the bridge in this tree, by group."""
    found: dict[str, list[Answered | None]] = {}
    with trusted_issuer() as issuer:
        for group in GROUPS:
            async with world(issuer) as around:
                answered = await ask(group, around)
            pairs = zip(group.cases, answered, strict=True)
            found[group.name] = [None if case.name in CHANGES else one for case, one in pairs]
    return found


def main() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(record())
    every = [(answer, one) for group in found.values() for one in group if one for answer in one.answers]
    document = next(answer.partition(b"\r\n\r\n")[2] for answer, _ in every if b'\r\n\r\n{"openapi"' in answer)
    DOCUMENT.write_bytes(document + b"\n")
    write_corpus(ABOUT, GROUPS, found)
    statuses = sorted({match[1].decode() for answer, _ in every if (match := re.match(rb"HTTP/1.1 (\d+)", answer))})
    print(f"{sum(map(len, found.values()))} cases, {len(every)} answers, {' '.join(statuses)}")


if __name__ == "__main__":
    main()
