"""``python -m lab.plugins.kubernetes``: what the engine starts as ``pulumi-resource-kubernetes``."""

from __future__ import annotations

import sys

from lab.plugins.kubernetes.plugin import Kubernetes
from lab.plugins.server import main

main(sys.argv[1:], Kubernetes)
