"""The rehearsal cloud: real OpenStack and Kubernetes control planes on one machine."""
