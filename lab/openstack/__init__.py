"""The lab's OpenStack: real control planes from PyPI on a database from Debian, without hypervisors."""

from lab.openstack.contents import seed
from lab.openstack.launch import DATABASE, prepare, services
from lab.openstack.packages import install

__all__ = ["DATABASE", "install", "prepare", "seed", "services"]
