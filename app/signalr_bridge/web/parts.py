"""How a route gets the part it works with: the assembly puts the parts on ``app.state``."""

from typing import Any

from fastapi import Request
from fastapi.params import Depends


def part(name: str) -> Any:
    """For ``Annotated[Sender, part("sender")]``: the part called ``name``."""

    async def find(request: Request) -> Any:
        return getattr(request.app.state, name)

    return Depends(find)
