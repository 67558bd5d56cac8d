"""Worker process of Beam's FnApiRunner that keeps to itself what it logs below an error.

What fails in an element goes to the runner as an error of its bundle, not through here. What remains is the end of the
runner: its connections close, and each thread of the worker would print a traceback.
"""

import logging
import sys
import threading

logging.disable(logging.WARNING)  # before Beam is loaded, whose worker sets its own level

if __name__ == "__main__":
    import grpc
    from apache_beam.runners.worker.sdk_worker_main import main

    def ignore(hook: threading.ExceptHookArgs) -> None:
        """Say nothing of a connection that the runner closed."""
        if not issubclass(hook.exc_type, grpc.RpcError):
            threading.__excepthook__(hook)

    threading.excepthook = ignore
    logging.disable(logging.CRITICAL)
    try:
        main(sys.argv)
    except grpc.RpcError:
        sys.exit(1)
