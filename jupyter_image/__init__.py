"""The container image that users of the gateway meet: its recipe, and the commands that pin and try it."""
