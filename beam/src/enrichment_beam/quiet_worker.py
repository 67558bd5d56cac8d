"""Worker process of Beam's FnApiRunner that ends with the program that started it: `quiet_worker PARENT [--verbose]`.

A worker by itself would go on with its part after its parent was killed, beside the workers of the next run. To end it
at once is safe: a part is noted in the journal after its rows are durable.

Without `--verbose` it keeps to itself what it logs and what Beam prints. What fails in an element goes to the runner as
an error of its bundle, and Beam prints its traceback here as well. At the end of the runner its connections close, and
each thread of the worker would print a traceback.
"""

import contextlib
import logging
import os
import sys
import threading
import time
from pathlib import Path

_IS_VERBOSE = "--verbose" in sys.argv
_CHECK_S = 0.1

if not _IS_VERBOSE:
    logging.disable(logging.WARNING)  # before Beam is loaded, whose worker sets its own level


def _end_with(parent: int) -> None:
    """End this process when the parent has ended."""
    while os.getppid() == parent:
        time.sleep(_CHECK_S)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with, args=(int(sys.argv[1]),), name="parent", daemon=True).start()
    import grpc
    from apache_beam.runners.worker.sdk_worker_main import main

    def ignore(hook: threading.ExceptHookArgs) -> None:
        """Say nothing of a connection that the runner closed."""
        if not issubclass(hook.exc_type, grpc.RpcError):
            with contextlib.redirect_stderr(sys.__stderr__):
                threading.__excepthook__(hook)

    with contextlib.ExitStack() as quiet:
        if not _IS_VERBOSE:
            threading.excepthook = ignore
            logging.disable(logging.CRITICAL)
            nowhere = quiet.enter_context(Path(os.devnull).open("w"))
            quiet.enter_context(contextlib.redirect_stderr(nowhere))
        try:
            main(sys.argv[:1])
        except grpc.RpcError:
            sys.exit(1)
