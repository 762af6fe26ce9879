"""What `serve` gives when it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from isthmus.api.result import Result


@dataclass(frozen=True, kw_only=True, repr=False)
class ServedPage(Result):
    """A page that was served.

    Attributes:
        url: its address, without the token.
        models: the models that were given.
        data: the folder of images, or null.
        requests: how many were answered.
        seconds: how long it was served.
    """

    schema: ClassVar[str] = "isthmus.serve/1"

    url: str
    models: tuple[str, ...]
    data: str | None
    requests: int
    seconds: float

    def summary(self) -> str:
        return f"{self.requests} requests were answered"
