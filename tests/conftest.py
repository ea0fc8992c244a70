"""What holds for all tests."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

# How long an example takes tells of the machine's load, not of the program: times are for benchmarks.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# A shell starts what it runs in the background with interrupts ignored, and all its children inherit that:
# programs under test could not be interrupted.
signal.signal(signal.SIGINT, signal.default_int_handler)
