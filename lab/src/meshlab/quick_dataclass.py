"""Frozen dataclasses that cost little to define.

`dataclasses.dataclass(frozen=True)` compiles six methods for each class. With some 300 classes that is two fifths of
what a command imports, and most of these methods are never called. Here each is compiled at its first call, by the
standard library. A type checker sees the standard library's decorator.
"""

from __future__ import annotations

import dataclasses
from types import MethodType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import inspect
    from collections.abc import Callable
    from dataclasses import dataclass
else:

    def dataclass(cls: type[Any] | None = None, /, **options: bool) -> Any:  # noqa: ANN401 - a class or a decorator
        """Decorate as `dataclasses.dataclass` does; `dataclass(frozen=True)` alone is the quick way."""
        if cls is None and options == {"frozen": True}:
            return _frozen
        return dataclasses.dataclass(cls, **options)


__all__ = ["dataclass"]

# What the standard library compiles a method for.
_OPTIONS: dict[str, dict[str, Any]] = {
    "__init__": {"frozen": True, "repr": False, "eq": False},  # frozen: it sets fields past `__setattr__`
    "__repr__": {"init": False, "eq": False},
    "__eq__": {"init": False, "repr": False},
    "__hash__": {"init": False, "repr": False, "unsafe_hash": True},
}


def _frozen(cls: type[Any]) -> type[Any]:
    """Make a class a frozen dataclass. What it defines itself stays, as with the standard library's decorator."""
    # A class with an `__eq__` of its own has None for its hash, which a frozen dataclass replaces.
    own = {name for name, value in vars(cls).items() if value is not None}
    dataclasses.dataclass(init=False, repr=False, eq=False)(cls)
    names = {field.name for field in dataclasses.fields(cls)}
    methods: dict[str, Callable[..., Any]] = {name: _CompiledLater(cls, name) for name in _OPTIONS}
    methods |= {"__setattr__": _refuse_to_set(cls, names), "__delattr__": _refuse_to_delete(cls, names)}
    for name, method in methods.items():
        if name not in own:
            setattr(cls, name, method)
    return cls


class _CompiledLater:
    """A method in whose place the standard library's is put when it is called, or when its signature is asked for."""

    def __init__(self, cls: type[Any], name: str) -> None:
        self._cls, self._name = cls, name

    def __get__(self, instance: object, owner: type | None = None) -> Any:  # noqa: ANN401 - as a function has it
        return self if instance is None else MethodType(self, instance)

    def __call__(self, *args: object, **values: object) -> Any:  # noqa: ANN401 - as that of the class
        return self._compile()(*args, **values)

    @property
    def __signature__(self) -> inspect.Signature:
        import inspect

        return inspect.signature(self._compile())

    def _compile(self) -> Callable[..., Any]:
        # Two threads may both come here, and then set the same.
        compiled: Callable[..., Any] = getattr(_same_fields(self._cls, **_OPTIONS[self._name]), self._name)
        setattr(self._cls, self._name, compiled)
        return compiled


def _same_fields(cls: type[Any], **options: Any) -> type[Any]:  # noqa: ANN401 - those of `make_dataclass`
    """Return a dataclass with the fields of another."""
    fields = [
        (
            field.name,
            field.type,
            dataclasses.field(
                default=field.default,
                default_factory=field.default_factory,
                init=field.init,
                repr=field.repr,
                hash=field.hash,
                compare=field.compare,
                kw_only=field.kw_only,
            ),
        )
        for field in dataclasses.fields(cls)
    ]
    namespace = {"__module__": cls.__module__}  # where the types of its fields are known
    if hasattr(cls, "__post_init__"):
        namespace["__post_init__"] = ""
    return dataclasses.make_dataclass(cls.__name__, fields, namespace=namespace, **options)


def _refuse_to_set(cls: type[Any], names: set[str]) -> Callable[..., None]:
    def refuse(self: object, name: str, value: object) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    return refuse


def _refuse_to_delete(cls: type[Any], names: set[str]) -> Callable[..., None]:
    def refuse(self: object, name: str) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    return refuse
