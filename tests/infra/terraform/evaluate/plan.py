"""What a module makes: its resources with their arguments, its outputs, and what its own checks refuse."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import hcl2
from hcl2.rules.base import AttributeRule, BlockRule

from tests.infra.terraform.evaluate.expressions import Names, expression
from tests.infra.terraform.evaluate.types import convert
from tests.infra.terraform.evaluate.values import NotEvaluatedError, Reference

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hcl2.rules.base import BodyRule

    from tests.infra.terraform.evaluate.expressions import Scope

__all__ = ["Plan", "evaluate", "kind_of"]

_META = frozenset({"count", "for_each", "depends_on", "provider", "lifecycle", "source", "providers"})


@dataclass(frozen=True)
class Plan:
    """A module's result.

    Attributes:
        resources: Arguments by address, such as `module.network.google_compute_network.this`. A block is a list of its
            instances; an argument that is null is not there; what only the service decides is a `Reference`.
        outputs: The outputs of the module itself.
        refusals: Messages of validations, preconditions and checks that do not hold.
    """

    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)

    def all(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the resources of a type, by address."""
        return {address: found for address, found in self.resources.items() if kind_of(address) == kind}


_INSTANCE = re.compile(r"""\[(?:\d+|"[^"]*")\]""")


def kind_of(address: str) -> str:
    """Return the type of the resource at an address, such as `module.a[0].google_compute_network.this["b"]`."""
    return _INSTANCE.sub("", address).split(".")[-2]


def evaluate(folder: Path, variables: Mapping[str, Any]) -> Plan:
    """Evaluate a module with values for its variables.

    Raises:
        NotEvaluatedError: A file has something that is not known here, or a variable without a default has no value.
    """
    plan = Plan()
    module = _Module(folder, "", variables, plan)
    module.run()
    if not plan.refusals:
        plan.outputs.update({name: module.output(name) for name in module.blocks.get("output", {})})
    return plan


@functools.lru_cache(maxsize=256)
def _parsed(path: Path, changed: float) -> BodyRule:
    return hcl2.parses(path.read_text()).body


class _Module:
    """One module with its values. Names are evaluated when they are asked for, in any order."""

    def __init__(self, folder: Path, prefix: str, variables: Mapping[str, Any], plan: Plan) -> None:
        self._folder = folder
        self._prefix = prefix
        self._plan = plan
        self.blocks: dict[str, dict[str, BodyRule]] = {}
        self._locals: dict[str, Any] = {}
        self._memory: dict[tuple[str, str], Any] = {}
        self._children: list[_Module] = []
        for path in sorted(folder.glob("*.tf")):
            self._read(_parsed(path, path.stat().st_mtime))
        if strangers := set(variables) - set(self.blocks.get("variable", {})):
            raise NotEvaluatedError(f"{folder.name} has no variables {sorted(strangers)}")
        self._given = variables

    def _read(self, body: BodyRule) -> None:
        for block in body.children:
            if not isinstance(block, BlockRule):
                continue
            kind, *labels = [_label(label) for label in block.labels]
            if kind == "locals":
                self._locals.update(
                    {name: value.expression for name, value in _attributes(block.body).items()}
                )
            else:
                self.blocks.setdefault(kind, {})[".".join(labels)] = block.body

    def run(self) -> None:
        """Evaluate all variables, resources and modules into the plan."""
        for name, body in self.blocks.get("variable", {}).items():
            self._variable(name)
            self._conditions(body, "validation", self, f"variable {name}")
        if self._plan.refusals:
            return
        for address in self.blocks.get("resource", {}):
            for key, inner in self._instances(self.blocks["resource"][address]):
                full = f"{self._prefix}{address}{key}"
                self._plan.resources[full] = _arguments(self.blocks["resource"][address], inner)
                for lifecycle in _blocks(self.blocks["resource"][address], "lifecycle"):
                    self._conditions(lifecycle, "precondition", inner, full)
        for name in self.blocks.get("module", {}):
            self._once("module", name, self._module)
        for child in self._children:
            child.run()

    def find(self, name: str) -> Any:  # noqa: ANN401
        """Return the value of a name at the top of an expression."""
        if name in ("var", "local", "module", "data"):
            return _Prefix(self, name)
        if name == "path":
            return {"module": str(self._folder), "root": str(self._folder)}
        if any(address.startswith(f"{name}.") for address in self.blocks.get("resource", {})):
            return _Prefix(self, name)
        raise NotEvaluatedError(f"the name {name} in {self._folder.name}")

    def member(self, kind: str, name: str) -> Any:  # noqa: ANN401
        """Return `var.NAME`, `local.NAME`, `module.NAME`, or the resource or resources `KIND.NAME`."""
        if kind == "var":
            return self._variable(name)
        if kind == "local":
            if name not in self._locals:
                raise NotEvaluatedError(f"local.{name}")
            return self._once("local", name, lambda found: expression(self._locals[found], self))
        if kind == "module":
            return self._once("module", name, self._module)
        if kind == "data":
            return _Data(self, name)
        return self._once("resource", f"{kind}.{name}", self._resource)

    def output(self, name: str) -> Any:  # noqa: ANN401
        """Return the value of an output."""
        if name not in self.blocks.get("output", {}):
            raise NotEvaluatedError(f"output {name} of {self._folder.name}")
        body = self.blocks["output"][name]
        return self._once("output", name, lambda _: expression(_attributes(body)["value"].expression, self))

    def _once(self, kind: str, name: str, make: Any) -> Any:  # noqa: ANN401
        if (kind, name) not in self._memory:
            self._memory[kind, name] = make(name)
        return self._memory[kind, name]

    def _variable(self, name: str) -> Any:  # noqa: ANN401
        if name not in self.blocks.get("variable", {}):
            raise NotEvaluatedError(f"var.{name} in {self._folder.name}")
        return self._once("variable", name, self._convert)

    def _convert(self, name: str) -> Any:  # noqa: ANN401
        attributes = _attributes(self.blocks["variable"][name])
        if name in self._given:
            value = self._given[name]
        elif "default" in attributes:
            value = expression(attributes["default"].expression, self)
        else:
            raise NotEvaluatedError(f"var.{name} of {self._folder.name} has no value")
        try:
            return convert(attributes["type"].expression, value, self)
        except NotEvaluatedError as error:
            raise NotEvaluatedError(f"var.{name} of {self._folder.name}: {error}") from error

    def _instances(self, body: BodyRule) -> Iterator[tuple[str, Scope]]:
        """Yield the key in the address and the scope of each instance of a resource or a module."""
        attributes = _attributes(body)
        if "count" in attributes:
            for number in range(int(expression(attributes["count"].expression, self))):
                yield f"[{number}]", Names({"count": {"index": number}}, self)
        elif "for_each" in attributes:
            values = expression(attributes["for_each"].expression, self)
            if isinstance(values, Reference):
                raise NotEvaluatedError(f"for_each over {values.address}")
            pairs = values if isinstance(values, Mapping) else {value: value for value in values}
            for key in sorted(pairs):
                yield f'["{key}"]', Names({"each": {"key": key, "value": pairs[key]}}, self)
        else:
            yield "", self

    def _resource(self, address: str) -> Any:  # noqa: ANN401
        if address not in self.blocks.get("resource", {}):
            raise NotEvaluatedError(f"the resource {address}")
        body = self.blocks["resource"][address]
        found = {
            key: _Instance(f"{self._prefix}{address}{key}", body, inner)
            for key, inner in self._instances(body)
        }
        return _many(body, found)

    def _module(self, name: str) -> Any:  # noqa: ANN401
        if name not in self.blocks.get("module", {}):
            raise NotEvaluatedError(f"the module {name}")
        body = self.blocks["module"][name]
        source = str(expression(_attributes(body)["source"].expression, self))
        found = {}
        for key, inner in self._instances(body):
            given = _Arguments(body, inner)
            child = _Module(self._folder / source, f"{self._prefix}module.{name}{key}.", given, self._plan)
            self._children.append(child)
            found[key] = _Outputs(child)
        return _many(body, found)

    def _conditions(self, body: BodyRule, kind: str, scope: Scope, what: str) -> None:
        for block in _blocks(body, kind):
            attributes = _attributes(block)
            holds = expression(attributes["condition"].expression, scope)
            if not isinstance(holds, Reference) and holds is not True:
                message = expression(attributes["error_message"].expression, scope)
                self._plan.refusals.append(f"{self._prefix}{what}: {message}")


class _Arguments(Mapping[str, Any]):
    """The arguments of a module's block. Each is evaluated when it is asked for, since modules may name each other."""

    def __init__(self, body: BodyRule, scope: Scope) -> None:
        self._nodes = {name: node for name, node in _attributes(body).items() if name not in _META}
        self._scope = scope

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401
        return expression(self._nodes[name].expression, self._scope)

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)


class _Prefix:
    """`var`, `local`, `module`, or a resource type: the next name says which."""

    def __init__(self, module: _Module, kind: str) -> None:
        self._module, self._kind = module, kind

    def find(self, name: str) -> Any:  # noqa: ANN401
        return self._module.member(self._kind, name)


class _Data:
    """The data sources of one type, of which nothing is known."""

    def __init__(self, module: _Module, kind: str) -> None:
        self._module, self._kind = module, kind

    def find(self, name: str) -> Reference:
        return Reference(f"data.{self._kind}.{name}")


class _Outputs:
    """The outputs of a module."""

    def __init__(self, module: _Module) -> None:
        self._module = module

    def find(self, name: str) -> Any:  # noqa: ANN401
        return self._module.output(name)


class _Instance:
    """One instance of a resource: an argument that its file gives, or a reference."""

    def __init__(self, address: str, body: BodyRule, scope: Scope) -> None:
        self._address, self._body, self._scope = address, body, scope

    def find(self, name: str) -> Any:  # noqa: ANN401
        attributes = _attributes(self._body)
        value = expression(attributes[name].expression, self._scope) if name in attributes else None
        return Reference(f"{self._address}.{name}") if value is None else value


def _many(body: BodyRule, found: dict[str, Any]) -> Any:  # noqa: ANN401
    """Return what stands under the name of a resource or module: one, a list, or a map."""
    attributes = _attributes(body)
    if "for_each" in attributes:
        return {key[2:-2]: one for key, one in found.items()}
    return list(found.values()) if "count" in attributes else found[""]


def _arguments(body: BodyRule, scope: Scope, *, nested: bool = False) -> dict[str, Any]:
    """Return the arguments and blocks of a body. A nested block has no meta-arguments: its `count` is its own."""
    meta = frozenset() if nested else _META
    found: dict[str, Any] = {}
    for name, value in _attributes(body).items():
        if name not in meta and (result := expression(value.expression, scope)) is not None:
            found[name] = result
    for block in body.children:
        if not isinstance(block, BlockRule):
            continue
        kind, *labels = [_label(label) for label in block.labels]
        if kind == "dynamic":
            found.setdefault(labels[0], []).extend(_dynamic(labels[0], block.body, scope))
        elif kind not in meta:
            found.setdefault(kind, []).append(_arguments(block.body, scope, nested=True))
    return found


def _dynamic(name: str, body: BodyRule, scope: Scope) -> Iterator[dict[str, Any]]:
    values = expression(_attributes(body)["for_each"].expression, scope)
    if isinstance(values, Reference):
        raise NotEvaluatedError(f"dynamic {name} over {values.address}")
    # Terraform goes through a map by its keys.
    pairs = sorted(values.items()) if isinstance(values, Mapping) else enumerate(values)
    for key, value in pairs:
        inner = Names({name: {"key": key, "value": value}}, scope)
        for content in _blocks(body, "content"):
            yield _arguments(content, inner, nested=True)


def _attributes(body: BodyRule) -> dict[str, AttributeRule]:
    return {str(one.identifier.token.value): one for one in body.children if isinstance(one, AttributeRule)}


def _blocks(body: BodyRule, kind: str) -> list[BodyRule]:
    return [one.body for one in body.children if isinstance(one, BlockRule) and _label(one.labels[0]) == kind]


def _label(node: Any) -> str:  # noqa: ANN401
    return str(node.serialize()).strip('"')
