"""The gateway's settings, and the page that wires its components."""
