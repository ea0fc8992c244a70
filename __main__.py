"""The gateway of this stack: `pulumi preview` and `pulumi up` start here."""

import sys

import pulumi

from stacks import forecast_hook, gateway, rung_in_force, settings_parsing

try:
    settings = rung_in_force.apply(settings_parsing.load(), pulumi.get_stack())
    forecast_hook.load_early(settings)
    facts = gateway.look_up(settings)
except pulumi.RunError as refusal:
    pulumi.log.error(str(refusal))
    # Tells Pulumi that the reason has been shown; after any other status it speaks of an unhandled error.
    sys.exit(32)
gateway.build(settings, facts, pulumi.get_stack())
