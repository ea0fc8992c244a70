#!/usr/bin/env bash
# Installs the packages of the lists given: apt_packages.sh LIST...
# Versions are the archive's newest, with its security updates; the image's digest is what fixes them.
set -euo pipefail

packages=()
for list in "$@"; do
    while read -r package _; do
        case "$package" in
        '' | '#'*) ;;
        *) packages+=("$package") ;;
        esac
    done <"$list"
done

export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet
apt-get install --quiet --yes --no-install-recommends "${packages[@]}"
apt-get clean
rm -rf /var/lib/apt/lists/*
# An agent that asks for an administrator's password, which nobody has here, greets each desktop with an error.
rm -f /etc/xdg/autostart/*polkit*.desktop
