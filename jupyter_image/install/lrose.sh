#!/usr/bin/env bash
# Installs the LROSE suite into /usr/local/lrose, with what it needs: lrose.sh PACKAGE.deb
set -euo pipefail

package=$(realpath "$1")

export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet
apt-get install --quiet --yes --no-install-recommends "$package"
apt-get clean
rm -rf /var/lib/apt/lists/*

# Last in the loader's order, and no LD_LIBRARY_PATH: neither the system's nor Python's libraries change.
echo /usr/local/lrose/lib >/etc/ld.so.conf.d/zz-lrose.conf
ldconfig

for program in HawkEye RadxConvert; do
    if [ ! -x "/usr/local/lrose/bin/$program" ]; then
        echo "lrose.sh: $(basename "$package") has no /usr/local/lrose/bin/$program; is it LROSE's package?" >&2
        exit 1
    fi
done
