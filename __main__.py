"""The gateway of this stack: `pulumi preview` and `pulumi up` start here."""

import sys
import time

import pulumi

from stacks import forecast_hook, gateway, rung_in_force, settings_parsing

try:
    settings = rung_in_force.apply(settings_parsing.load(), now=time.time())
    forecast_hook.load_early(settings)
    facts = gateway.look_up(settings)
    spared = rung_in_force.spared_nodes(settings, pulumi.get_stack(), now=time.time())
except pulumi.RunError as refusal:
    pulumi.log.error(str(refusal))
    # Tells Pulumi that the reason has been shown; after any other status it speaks of an unhandled error.
    sys.exit(32)
gateway.build(settings, facts, pulumi.get_stack(), spared)
