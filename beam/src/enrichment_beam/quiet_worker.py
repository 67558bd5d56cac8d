"""Worker process of Beam's FnApiRunner that keeps to itself what it logs below an error."""

import logging
import sys

logging.disable(logging.WARNING)  # before Beam is loaded, whose worker sets its own level

if __name__ == "__main__":
    from apache_beam.runners.worker.sdk_worker_main import main

    main(sys.argv)
