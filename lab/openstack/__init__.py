"""The lab's OpenStack: real control planes from PyPI on a database from Debian, without hypervisors."""

from lab.openstack.install import install
from lab.openstack.seed import seed
from lab.openstack.services import DATABASE, prepare, services

__all__ = ["DATABASE", "install", "prepare", "seed", "services"]
