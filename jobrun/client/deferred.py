"""Modules that gRPC and protobuf import and a client never uses: half of the time that `import grpc` takes."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

DEFERRED = ("asyncio", "grpc.aio", "google.protobuf.internal.python_message")
"""For grpc.aio, which the client does not use; for grpc.aio itself; and for protobuf without its C extension."""


class DeferredModule(ModuleType):
    """Stands for a module until somebody looks into it, then gets out of the way: whoever needs it has the real one.
    Not importlib's LazyLoader: before CPython 3.14 a second `import` of the same name was a look."""

    def __getattr__(self, attribute: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), attribute)


def defer_unused() -> None:
    """Call before anything imports grpc or protobuf, and not where asyncio is used."""
    for name in DEFERRED:
        if name not in sys.modules:
            sys.modules[name] = DeferredModule(name)
