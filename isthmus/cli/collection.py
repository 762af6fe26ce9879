"""Python's cyclic garbage collector while a command starts and ends.

Importing torch makes a quarter of a million objects, and all of them stay until the process ends. The
collector would examine them many times during the import and once more at the end, in vain, which takes a
third of the time of the import.
"""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType


def spare_imported_objects() -> None:
    """Keep the collector away from what importing torch makes, in a process that runs one command."""
    sys.meta_path.insert(0, _PausingFinder())
    # Of all functions at exit this one runs last; the collection that follows has nothing to examine.
    atexit.register(gc.freeze)


class _PausingFinder:
    """On `sys.meta_path`: pauses the collector while torch is imported, then exempts the new objects."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        if fullname != "torch":
            return None
        import importlib.util

        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_paused(module: ModuleType) -> None:
            enabled = gc.isenabled()
            gc.disable()
            try:
                execute(module)
            finally:
                gc.freeze()
                if enabled:
                    gc.enable()

        spec.loader.exec_module = execute_paused  # type: ignore[method-assign]
        return spec
