"""Run the BigQuery fake until a signal ends it."""

from __future__ import annotations

import time

from meshlab.cloud import serving
from meshlab.cloud.bigquery.app import create_app


def main() -> None:
    """Parse the command line and serve."""
    arguments = serving.argument_parser("meshlab.cloud.bigquery", "BigQuery fake").parse_args()
    serving.serve(create_app(time.time), arguments.port)


if __name__ == "__main__":
    main()
