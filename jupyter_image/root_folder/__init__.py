"""The image without a container engine: its Dockerfile carried out in a folder of Debian packages.

Needs Linux, root, Debian's ``mmdebstrap``, and mounts of the kind overlay. Each instruction's result is a
layer in the user's cache, named by all that went into it.
"""
