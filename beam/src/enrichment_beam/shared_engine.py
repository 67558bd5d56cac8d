"""The engine of a worker process: started for the first DoFn that needs it, and shared by the others."""

import atexit
import os
import threading
from collections.abc import Awaitable, Callable, Mapping

from enrichment import assembly

from enrichment_beam.engine import Bundle, Engine, EngineError, EngineOptions
from enrichment_beam.settings import WorkerSettings


class SettingsDifferError(EngineError):
    """Two pipelines with different settings met in one process."""


class Lease:
    """Use of the process's engine by one DoFn.

    Args:
        engine: The engine, which counts this use already.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine: Engine | None = engine

    def bundle(self) -> Bundle:
        """Return a new bundle."""
        if self._engine is None:
            raise EngineError("The DoFn was torn down.")
        return Bundle(self._engine)

    def close(self) -> None:
        """End the use."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.release()


_lock = threading.Lock()
_engines: dict[tuple[str, EngineOptions], Engine] = {}
_placed: tuple[str, Mapping[str, str]] = ("", {})


def lease(settings: WorkerSettings, options: EngineOptions) -> Lease:
    """Return a use of the process's engine, which is started if it is not running.

    Args:
        settings: What the enrichment needs to know.
        options: How many events may be under way, and how fast.

    Raises:
        EngineError: It cannot start.
        SettingsError: The worker lacks what the settings name.
    """
    global _placed
    with _lock:
        digest = settings.digest
        if _placed[0] != digest:
            if any(engine.is_alive and engine._users > 0 for engine in _engines.values()):  # noqa: SLF001
                raise SettingsDifferError(
                    "This worker process runs a pipeline with other settings. The settings are variables of the "
                    "process, so one process runs one pipeline at a time."
                )
            _close_all()
            placed = settings.put_in_place()
            os.environ.update(placed)  # the SDK and Google's clients read them from there
            _placed = digest, placed
        assembly.collect_less_often()
        key = (digest, options)
        engine = _engines.get(key)
        if engine is None or not engine.hold():
            from enrichment_beam.parts import handler

            env, closing = _placed[1], list[Callable[[], Awaitable[None]]]()
            engine = _engines[key] = Engine(lambda: handler(env, options, closing), options, closing=closing)
            engine.hold()
        return Lease(engine)


def close_all() -> None:
    """End every engine of the process: at its end, and between tests."""
    global _placed
    with _lock:
        _close_all()
        _placed = ("", {})


def _close_all() -> None:
    for engine in _engines.values():
        engine.close()
    _engines.clear()


def _forget() -> None:
    """Begin anew in the child of a fork, which has no threads of its parent; one of them may have held the lock."""
    global _lock, _placed
    _lock, _placed = threading.Lock(), ("", {})
    _inherited.append(dict(_engines))
    _engines.clear()


_inherited: list[object] = []
"""Engines of the parent of a fork. They are kept: to free them would close connections that the parent uses."""

os.register_at_fork(after_in_child=_forget)
atexit.register(close_all)
