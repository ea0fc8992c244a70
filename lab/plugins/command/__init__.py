"""The lab's own command plugin: commands on this machine and, by SSH, on others."""
