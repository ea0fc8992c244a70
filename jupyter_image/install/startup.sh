#!/usr/bin/env bash
# Puts what every shell and every start reads where they read it: startup.sh FOLDER
# Nothing goes into the home: it is a volume, and hides what the image has there.
set -euo pipefail

install -m 644 "$1/environment.sh" /etc/profile.d/gateway.sh
# Terminals of the desktop are no login shells: they read this one.
# shellcheck disable=SC2016
printf '\n%s\n' '. /etc/profile.d/gateway.sh' >>/etc/bash.bashrc
install -m 755 -t /usr/local/bin/before-notebook.d "$1"/before-notebook.d/*
