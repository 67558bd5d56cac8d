"""The one lock under which Google's clients are imported."""

import threading

GOOGLE = threading.Lock()
"""Held while a Google client is imported in a thread.

The clients share packages, and import them in different orders: two threads that do so at once may each wait for a
module that the other is loading, and Python then hands one of them half a module. The first events of an instance, a
good one and a bad one, do just that.
"""
