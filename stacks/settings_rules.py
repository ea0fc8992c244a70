"""All rules that need more than one setting, and the settings that each of them reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from stacks import rules_access, rules_budget, rules_cluster, rules_hub
from stacks.problems import Problem
from stacks.settings import Settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule and the settings it reads: it is asked only where those could be read at all."""

    check: Callable[[Settings], Iterator[Problem]]
    needs: frozenset[str]


def _rule(check: Callable[[Settings], Iterator[Problem]], *needs: str) -> Rule:
    return Rule(check=check, needs=frozenset(needs))


RULES = (
    _rule(rules_cluster.network_is_one, "network"),
    _rule(rules_cluster.flavors_are_usable, "cluster", "pools", "flavors"),
    _rule(rules_cluster.pool_names_are_free, "pools"),
    _rule(rules_cluster.profiles_are_distinct, "profiles"),
    _rule(rules_cluster.profiles_fit_their_nodes, "profiles", "pools", "flavors"),
    _rule(rules_cluster.homes_can_be_attached, "profiles", "pools", "flavors", "storage"),
    _rule(rules_hub.charts_have_one_source, "chart", "charts"),
    _rule(rules_hub.start_commands_are_distinct, "hub"),
    _rule(rules_hub.depth_is_said_once, "hub"),
    _rule(rules_hub.registry_has_a_password, "hub", "secrets"),
    _rule(rules_hub.homes_have_a_size, "storage"),
    _rule(rules_budget.data_can_be_required, "budget"),
    _rule(rules_budget.servers_beside_are_priced, "budget", "flavors"),
    _rule(rules_access.login_is_one, "authentication"),
    _rule(rules_access.github_is_complete, "authentication", "hub", "secrets", "tls"),
    _rule(rules_access.cilogon_is_complete, "authentication", "hub", "secrets", "tls"),
    _rule(rules_access.public_workshop_has_a_password, "authentication", "hub", "secrets"),
    _rule(rules_access.certificate_has_a_name, "tls", "hub"),
    _rule(rules_access.record_is_in_its_zone, "dns", "tls", "hub"),
    _rule(rules_access.production_is_kept, "production", "authentication", "storage", "tls"),
)
