"""Debian's package manager, for the lab and its tests."""

from __future__ import annotations

from lab import paths


def apt_get(*arguments: str) -> list[str]:
    """A command of ``apt-get`` that waits for those that the lab and its tests have begun elsewhere.

    By itself it waits for the packages' lock alone, and only if told so; while another one reads the lists,
    it fails.
    """
    paths.cache().mkdir(parents=True, exist_ok=True)
    return ["flock", str(paths.cache() / "apt.lock"), "apt-get", "-o", "DPkg::Lock::Timeout=300", *arguments]
