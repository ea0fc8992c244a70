"""The gateway of this stack: `pulumi preview` and `pulumi up` start here."""

import pulumi

from stacks import gateway, settings_parsing

settings = settings_parsing.load()
gateway.build(settings, gateway.look_up(settings), pulumi.get_stack())
