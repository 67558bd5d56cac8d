"""Loaded first by worker processes of Dask: what Beam and Dask log of themselves stays out of the terminal."""

import logging

logging.basicConfig(level=logging.ERROR)
logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
logging.getLogger("distributed").setLevel(logging.ERROR)
