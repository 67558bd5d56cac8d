"""How long `meshlab test` takes, cold and after a save; what compiling a proxy costs; how many proxies start."""

import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from meshlab.bench.case_file.collect import collect
from meshlab.bench.local_bench import LocalBench
from meshlab.bench.mesh_run import MeshRun
from meshlab.bench.protocol import Setup, Sources
from meshlab.bench.session import Choice, run_cases
from meshlab.istio import Mesh, Placement, ProxyCompiler, SecretSocket, load_mesh
from meshlab.manifest import parse_manifests

from bench.harness import BenchError, Comparison, Contender, Effort, Sample, compare
from bench.policy.mesh import mesh_of, write

_MESHLAB = Path(sys.executable).parent / "meshlab"
_SMALL, _LARGE = 6, 100
_CASES = 100
_TOUCHED = 3
_TIMEOUT_S = 120
_RULE, _CHANGED = "methods: [GET]", "methods: [GET, PUT]"

_SETUP = (
    "2 gateways, strict mutual TLS, a route, a token rule and an access rule for each workload; a quarter of the cases "
    "each: allowed, without a token, without the scope, from a workload that may not call; 'cold' is the whole command,"
    " 'after a save' what --watch does when a rule of every workload changed; the cases of 100 workloads touch 3"
)


def run(effort: Effort) -> Iterator[Comparison]:
    """Time verdicts and compilation, and count the proxies that start; there is no peer."""
    with TemporaryDirectory() as directory, ExitStack() as ends:
        small = write(Path(directory), _SMALL, range(_SMALL), _CASES)
        large = write(Path(directory), _LARGE, range(_TOUCHED), _CASES)
        yield compare(
            f"policy: {_CASES} cases, until the last verdict",
            [
                Contender(f"{_SMALL} workloads, cold", partial(_cold, *small)),
                Contender(f"{_SMALL} workloads, after a save", ends.enter_context(_watching(*small))),
                Contender(f"{_LARGE} workloads, cold", partial(_cold, *large)),
                Contender(f"{_LARGE} workloads, after a save", ends.enter_context(_watching(*large))),
            ],
            rounds=effort.rounds(5),
            setup=_SETUP,
        )
    yield compare(
        "policy: compile one proxy, mean of all proxies of a mesh",
        [Contender(f"{count} workloads", _compiling(count)) for count in (_SMALL, _LARGE)],
        rounds=effort.rounds(7),
        setup="every proxy knows every service; manifests are read beforehand",
    )
    yield compare(
        f"policy: Envoys for cases that touch {_TOUCHED} workloads",
        [Contender(f"{_LARGE} workloads", _starting)],
        rounds=1,
        setup="the three and the two gateways in front of them; the others are never started",
    )


def _cold(mesh: Path, cases: Path) -> Sample:
    began = time.monotonic()
    command: list[str | Path] = [_MESHLAB, "test", "-f", mesh, cases]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if done.returncode or f"{_CASES} passed" not in done.stdout:
        raise BenchError(f"not all cases passed:\n{done.stdout}{done.stderr}")
    return {"verdicts_s": time.monotonic() - began}


@contextmanager
def _watching(mesh: Path, cases: Path) -> Iterator[Callable[[], Sample]]:
    bench = LocalBench()
    rules = itertools.cycle([_CHANGED, _RULE])
    text = mesh.read_text(encoding="utf-8")
    # `meshlab test` reads the file as it is; its own saves stand beside it.
    saved = mesh.with_name(f"saved-{mesh.name}")

    def measure() -> Sample:
        saved.write_text(text.replace(_RULE, next(rules)), encoding="utf-8")
        began = time.monotonic()
        found = run_cases(bench.load(Sources((str(saved),))), collect([cases], {}), Choice("", False, 0))
        if found.counts["passed"] != _CASES:
            raise BenchError(f"not all cases passed: {found.counts}")
        return {"verdicts_s": time.monotonic() - began}

    try:
        yield measure
    finally:
        bench.close()


def _compiling(workloads: int) -> Callable[[], Sample]:
    text = mesh_of(workloads)

    def measure() -> Sample:
        mesh = _load(text)
        ports = itertools.count(20_000)
        compiler = ProxyCompiler(mesh, Placement.plan(mesh, lambda: next(ports)), SecretSocket())
        refs = [workload.ref for workload in mesh.workloads if workload.injected]
        wall, cpu = time.perf_counter(), time.process_time()
        for ref in refs:
            compiler.compile(ref)
        return {
            "wall_ms": 1000 * (time.perf_counter() - wall) / len(refs),
            "cpu_ms": 1000 * (time.process_time() - cpu) / len(refs),
        }

    return measure


def _starting() -> Sample:
    with TemporaryDirectory() as directory:
        _, cases = write(Path(directory), _LARGE, range(_TOUCHED), _CASES)
        mesh = _load(mesh_of(_LARGE))
        run = MeshRun(Setup(), ())
        try:
            run.follow(mesh, [case for file in collect([cases], {}) for case in file.cases])
            return {
                "in_the_mesh": float(sum(workload.injected for workload in mesh.workloads)),
                "started": float(len(run.running)),
            }
        finally:
            run.close()


def _load(text: str) -> Mesh:
    return load_mesh(parse_manifests(text, "mesh.yaml")).require_complete()
