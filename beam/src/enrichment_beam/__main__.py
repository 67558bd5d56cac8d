"""`python -m enrichment_beam`: streams and backfills."""

import logging
import sys


def _run() -> int:
    if "--verbose" not in sys.argv:
        # Before Beam is loaded, which logs what it does not find.
        logging.basicConfig(level=logging.ERROR)
        logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    from enrichment_beam.command import main

    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(_run())
