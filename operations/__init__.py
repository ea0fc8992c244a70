"""Actions on a running gateway. They know nothing of Pulumi."""
