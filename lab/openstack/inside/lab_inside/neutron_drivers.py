"""Neutron without agents: ports are bound at once, floating addresses become active when associated."""

from __future__ import annotations

from typing import Any

from neutron.services.l3_router import l3_router_plugin
from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins import directory
from neutron_lib.plugins.ml2 import api


class LabMechanismDriver(api.MechanismDriver):
    """Binds every port to its first segment and calls it active: no agent will ever report."""

    def initialize(self) -> None:
        """Needs nothing."""

    @property
    def connectivity(self) -> str:
        """The kind of connection it says it makes."""
        return str(portbindings.CONNECTIVITY_L2)

    def bind_port(self, context: Any) -> None:
        """Binds a server's port."""
        context.set_binding(
            context.segments_to_bind[0][api.ID],
            portbindings.VIF_TYPE_OVS,
            {portbindings.CAP_PORT_FILTER: True},
            status=constants.PORT_STATUS_ACTIVE,
        )

    def create_port_postcommit(self, context: Any) -> None:
        """Activates the ports of routers, which have no host and so are never bound."""
        if context.current["device_owner"].startswith("network:"):
            directory.get_plugin().update_port_status(
                context.plugin_context, context.current["id"], constants.PORT_STATUS_ACTIVE
            )


class LabRouterPlugin(l3_router_plugin.L3RouterPlugin):
    """Neutron's routers, with the part of their agent: the status of floating addresses."""

    def create_floatingip(self, context: Any, floatingip: Any) -> Any:
        """Creates a floating address and settles its status."""
        return self._settle(context, super().create_floatingip(context, floatingip))

    def update_floatingip(self, context: Any, id: str, floatingip: Any) -> Any:  # noqa: A002 (Neutron's name)
        """Associates or frees a floating address and settles its status."""
        return self._settle(context, super().update_floatingip(context, id, floatingip))

    def _settle(self, context: Any, address: Any) -> Any:
        active, down = constants.FLOATINGIP_STATUS_ACTIVE, constants.FLOATINGIP_STATUS_DOWN
        status = active if address["port_id"] else down
        if address["status"] != status:
            self.update_floatingip_status(context, address["id"], status)
            address["status"] = status
        return address
