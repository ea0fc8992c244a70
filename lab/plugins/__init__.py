"""The lab's own Pulumi plugins, used where the published ones cannot be downloaded."""
