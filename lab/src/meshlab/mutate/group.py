"""Cases that need the same around them, on one mesh that changes as it runs."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from meshlab.bench.applications import unserved
from meshlab.bench.asked_ports import with_asked_ports
from meshlab.bench.case import FromBypass, FromForeignMesh, FromOutside, FromWorkload, client_address
from meshlab.bench.declared import declared_manifests
from meshlab.bench.mesh_run import MeshRun, audiences_of
from meshlab.bench.run_secrets import client_authorities
from meshlab.bench.verdicts.chance import Odds
from meshlab.errors import LabError
from meshlab.istio.model.address_conditions import asked_addresses
from meshlab.istio.model.load import KnownReads, load_mesh
from meshlab.istio.model.trust import Refusal, Scope
from meshlab.mutate.changed_objects import MESH_CONFIG
from meshlab.mutate.concern import concerns
from meshlab.mutate.edits import ANOTHER
from meshlab.mutate.lookups import Lookup, answer, lookup_of
from meshlab.mutate.seen import Seen
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from meshlab.bench.case import Case
    from meshlab.bench.mesh_run import PlannedMesh
    from meshlab.bench.protocol import Setup
    from meshlab.bench.verdicts.verdict import Outcome
    from meshlab.istio import Mesh
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.read.workload_ref import WorkloadRef
    from meshlab.manifest import Problem
    from meshlab.mutate.changed_objects import Objects
    from meshlab.mutate.mutants import Mutant

__all__ = ["ChangedMesh", "Group", "case_key"]

_FIRST_STEP, _LONGEST_STEP = 2, 48
"""How many cases are sent together: few at first, since most mutants fail one of those that caught their like."""
_JOBS = 32
"""How many cases are under way at once at most: each waits for evidence longer than it works."""

Way = frozenset["WorkloadRef"]


@dataclass(frozen=True)
class ChangedMesh:
    """A mesh with one change, planned on a group's run.

    Attributes:
        planned: The mesh with its addresses.
        proxies: The workloads whose proxies are configured in another way than without the change.
        asking: The workloads whose policies ask for other addresses than without the change. Where no stated address is
            among those that differ, their proxies are configured as without it; those of a cluster are not.
        moved: What clients find at another address than without the change.
        digest: Equal where two changes make the same configurations.
        refused: What is not taken of the changed object, in words; empty where all is.
    """

    planned: PlannedMesh
    proxies: Way
    moved: frozenset[Lookup]
    digest: str
    refused: str = ""
    asking: Way = frozenset()

    @property
    def same(self) -> bool:
        """Whether every request ends as on the mesh without the change."""
        return not self.proxies and not self.moved and not self.asking

    @cached_property
    def odds(self) -> Odds:
        """What chance has a say in with the change."""
        return Odds(self.planned.under_test.bootstraps)


class Group:
    """A mesh and the cases of one setup. `close` ends what runs.

    Args:
        objects: The mesh without a change.
        setup: What the cases need around them.
        cases: The cases.

    Attributes:
        odds: What chance has a say in on the mesh without a change.

    Raises:
        BenchError: Something did not start.
    """

    def __init__(self, objects: Objects, setup: Setup, cases: Sequence[Case]) -> None:
        self.cases = tuple(cases)
        self.setup = setup
        # What the case files declare is read with the manifests.
        self._declared = tuple(declared_manifests(setup.workloads))
        self._keys = {id(case): case_key(case) for case in self.cases}
        self._entries: dict[str, WorkloadRef] = {}
        self._seen: dict[str, tuple[Seen, ...]] = {}
        self._looks: dict[WorkloadRef, dict[Seen, set[str]]] = {}
        self._refusing: dict[str, WorkloadRef | None] = {}
        self._manifests = (*objects.manifests, *self._declared)
        self._known = KnownReads(self._manifests)
        self._mesh = self.mesh(objects)
        self._problems = _problems(self._mesh)
        self._audiences = audiences_of(self._mesh)
        self._addressed = {_address(case): case for case in self.cases if _address(case)}
        self._start()
        self._lookups: dict[str, Lookup | None] = {}
        self._found: dict[Lookup, object] = {}
        self._wanted: Way = frozenset()

    def close(self) -> None:
        """End what runs."""
        self._run.close()

    def restart(self) -> None:
        """End what runs, and start all of it anew.

        Raises:
            BenchError: Something did not start.
        """
        self.close()
        self._start()

    def _start(self) -> None:
        authorities = client_authorities(self._mesh)
        others = (f"{ANOTHER}-{name}" for name in authorities)
        self._run = MeshRun(replace(self.setup, workloads={}), (*authorities, *others))
        self._plan()

    def _plan(self) -> None:
        self._old = self._run.plan(self._mesh, list(self._addressed.values()))
        self._configurations: Mapping[WorkloadRef, Json] = dict(self._old.under_test.bootstraps)
        self.odds = Odds(self._configurations)

    def prepare(self, cases: Sequence[Case]) -> None:
        """Let clients connect from the addresses that cases state; meshes with a change are to be planned again.

        Raises:
            BenchError: There is no address left.
        """
        new = {_address(case): case for case in cases if _address(case) not in ("", *self._addressed)}
        if new:
            self._addressed |= new
            self._plan()

    @property
    def configurations(self) -> Mapping[WorkloadRef, Json]:
        """The configurations of the proxies of the mesh without a change."""
        return self._configurations

    def mesh(self, objects: Objects) -> Mesh:
        """Return the mesh that objects describe, with what the case files declare.

        Raises:
            ManifestError: The file of the MeshConfig holds what is not known.
        """
        manifests = [*objects.manifests, *self._declared]
        mesh = load_mesh(manifests, objects.settings(), inject_unknown_namespaces=True, known=self._known)
        mesh = with_asked_ports(mesh, self.cases)
        unreadable = tuple(Refusal((problem,), (Scope(),)) for problem in objects.unreadable)
        return replace(
            mesh,
            refusals=(*unreadable, *mesh.refusals),
            stated_addresses={**mesh.stated_addresses, **self.setup.addresses},
        )

    def unchanged(self, cases: Sequence[Case]) -> list[Outcome]:
        """Send cases through the mesh without a change, and return their outcomes; note which proxies each meets."""
        self._run.take(self._old, cases, self._wanted)
        found = list(self._run.run(cases, _JOBS))
        self._wanted = self._run.running
        for outcome in found:
            self._note(case_key(outcome.case), outcome)
        return found

    def refused_by(self, case: Case) -> WorkloadRef | None:
        """Return the workload whose proxy refuses a case on the mesh without a change; `None` for no proxy."""
        return self._refusing.get(self._key(case))

    def _note(self, key: str, outcome: Outcome) -> None:
        hops = outcome.verdict.hops if outcome.verdict else ()
        self._entries[key] = _entry(outcome.case)
        for one in self._seen.get(key, ()):
            self._looks[one.proxy][one].discard(key)
        judged = outcome.state not in ("not judged", "error")
        self._seen[key] = tuple(
            Seen.of(hop, outcome.case, self._audiences, before=before, judged=judged)
            for before, hop in zip((None, *hops), hops, strict=False)
        )
        # Few requests look different to a proxy, so each look is judged once.
        for one in self._seen[key]:
            self._looks.setdefault(one.proxy, {}).setdefault(one, set()).add(key)
        self._refusing[key] = outcome.verdict.proxy if outcome.verdict else None
        lookup = self._lookups[key] = lookup_of(outcome.case)
        if lookup is not None and lookup not in self._found:
            self._found[lookup] = answer(self._old.under_test.addresses, lookup)

    def changed(self, objects: Objects, mutant: Mutant) -> ChangedMesh:
        """Return the mesh of changed objects, and what differs from the one without a change.

        Args:
            objects: The objects.
            mutant: What was changed of them.

        Raises:
            LabError: The mesh cannot be run.
            ManifestError: The file of the MeshConfig holds what is not known.
        """
        mesh = self.mesh(objects)
        if missing := set(client_authorities(mesh)) - set(self._run.authority_names):
            raise LabError(f"the bench has no certificate authority {', '.join(sorted(missing))}")
        planned = self._run.plan(mesh, list(self._addressed.values()))
        now = self._compiled(planned, mutant)
        refs = self._configurations.keys() | now.keys()
        proxies = frozenset(ref for ref in refs if self._configurations.get(ref) != now.get(ref))
        moved = frozenset(
            lookup
            for lookup, found in self._found.items()
            if answer(planned.under_test.addresses, lookup) != found
        )
        # Equal configurations as one object: the proxies then see at once that nothing changed.
        same = {ref: self._configurations[ref] for ref in now if ref not in proxies}
        planned = replace(planned, under_test=replace(planned.under_test, bootstraps={**now, **same}))
        asking = self._asking(mesh)
        text = json.dumps([[str(ref), now.get(ref)] for ref in sorted(proxies)])
        text += "".join(f"{ref} {asked}" for ref, asked in sorted(asking.items()))
        digest = hashlib.sha256(f"{text}{sorted(map(str, moved))}".encode()).hexdigest()
        # What is unclear about other objects covers a part of the traffic, and the cases there say so.
        new = [
            str(problem)
            for problem in sorted(_problems(mesh) - self._problems, key=str)
            if problem.subject == mutant.manifest.subject or mutant.kind == MESH_CONFIG
        ]
        refused = "; ".join(new)
        return ChangedMesh(planned, proxies, moved, digest, refused, frozenset(asking))

    def _asking(self, mesh: Mesh) -> dict[WorkloadRef, str]:
        """Return what policies ask of addresses, by workload, where that differs from the mesh without a change."""
        before = {workload.ref: asked_addresses(self._mesh, workload) for workload in self._mesh.workloads}
        now = {workload.ref: asked_addresses(mesh, workload) for workload in mesh.workloads}
        return {ref: asked for ref, asked in now.items() if asked != before.get(ref, "")}

    def _compiled(self, planned: PlannedMesh, mutant: Mutant) -> dict[WorkloadRef, Json]:
        """Return the configuration of every proxy. What a policy does not reach is not compiled again."""
        bootstraps = planned.under_test.bootstraps
        if mutant.kind != "AuthorizationPolicy":
            return dict(bootstraps)
        old, new = self._old.mesh, planned.mesh
        before = {workload.ref: workload for workload in old.workloads}
        reached = {
            workload.ref
            for workload in new.workloads
            if workload.ref not in before
            or new.attached_to(workload, new.authorization_policies)
            != old.attached_to(before[workload.ref], old.authorization_policies)
        }
        return {
            ref: self._configurations[ref] if ref not in reached else bootstraps[ref] for ref in bootstraps
        }

    def meeting(self, changed: ChangedMesh, mutant: Mutant, cases: Sequence[Case]) -> list[Case]:
        """Return the cases that a change may concern; all others end as before.

        Args:
            changed: The mesh with the change.
            mutant: The change.
            cases: Cases that were sent to the mesh without it.
        """
        concerned = concerns(mutant, self._manifests)
        met = {
            key
            for proxy in changed.proxies | changed.asking
            for look, keys in self._looks.get(proxy, {}).items()
            if keys and concerned(look)
            for key in keys
        }
        return [case for case in cases if (key := self._key(case)) in met or self._may_differ(key, changed)]

    def _may_differ(self, key: str, changed: ChangedMesh) -> bool:
        """Return whether a request may end otherwise, whatever proxies saw of it."""
        if self._lookups[key] in changed.moved:
            return True
        # A proxy that a request began at and that left no word of it may have refused the connection.
        entry = self._entries[key]
        return entry in changed.proxies | changed.asking and all(
            one.proxy != entry for one in self._seen[key]
        )

    def _key(self, case: Case) -> str:
        return self._keys.get(id(case)) or case_key(case)

    def unknown_servers(self, changed: ChangedMesh) -> str:
        """Return what the case files put a server behind and a changed mesh does not name; empty for nothing."""
        under_test = changed.planned.under_test
        unknown = unserved((app.target for app in self.setup.apps), under_test)
        known = under_test.addresses.authorizers
        unknown += [one.provider for one in self.setup.authorizers if one.provider not in known]
        return ", ".join(unknown)

    def take(self, changed: ChangedMesh) -> str:
        """Give the running proxies a change; return why one of them refuses it, empty where all take it.

        Raises:
            BenchError: Something did not start.
        """
        self._run.take(changed.planned, list(self._addressed.values()), self._wanted)
        return "; ".join(self._run.refused.values())

    def send(self, cases: Sequence[Case]) -> Iterator[list[Outcome]]:
        """Send cases through what runs, few at first; yield the outcomes of those that were sent together."""
        begin, step = 0, _FIRST_STEP
        while begin < len(cases):
            part = cases[begin : begin + step]
            yield list(self._run.run(part, _JOBS))
            begin, step = begin + step, min(2 * step, _LONGEST_STEP)


def case_key(case: Case) -> str:
    """Return what two cases have in common that send the same."""
    return repr((case.sender, case.request, case.tokens))


def _problems(mesh: Mesh) -> frozenset[Problem]:
    return frozenset(problem for refusal in mesh.refusals for problem in refusal.problems)


def _address(case: Case) -> str:
    """Return the address that a case states for its client; empty for none."""
    return client_address(case.sender) or ""


def _entry(case: Case) -> WorkloadRef:
    """Return the workload that a case begins at: its sender, or the one that it goes straight to."""
    match case.sender:
        case FromOutside(gateway=entry) | FromWorkload(workload=entry):
            return entry
        case FromBypass(to=entry) | FromForeignMesh(to=entry):
            return entry
