"""The gateway of this stack: `pulumi preview` and `pulumi up` start here."""

import sys

import pulumi

from stacks import gateway, settings_parsing

try:
    settings = settings_parsing.load()
    facts = gateway.look_up(settings)
except pulumi.RunError as refusal:
    pulumi.log.error(str(refusal))
    # Tells Pulumi that the reason has been shown; after any other status it speaks of an unhandled error.
    sys.exit(32)
gateway.build(settings, facts, pulumi.get_stack())
