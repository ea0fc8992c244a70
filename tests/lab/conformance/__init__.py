"""Behaviours of the published Pulumi plugins, stated once and proven by the real engine.

By default they are proven of the lab's own plugins. With ``CONFORMANCE_PLUGINS=published`` the same
tests prove them of the published plugins, which must then be installed (`pulumi plugin install`).
"""
