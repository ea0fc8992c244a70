#!/usr/bin/env bash
# Runs in a mount and process namespace of its own, so that all it mounts and starts ends with it:
#   enter.sh WORK LOWERS UPPER USER -- [LOWERS SOURCE TARGET MODE]... -- COMMAND...
# WORK is an empty folder; LOWERS layers from top to bottom, by colons; UPPER the folder that takes what is
# written, or - for memory; USER as in 1000:100. In front of the second -- stand what is mounted: SOURCE a path,
# or one within the layers LOWERS where those are not -; MODE ro or rw.
set -euo pipefail

work=$1 lowers=$2 upper=$3 user=$4
shift 5

mount --make-rprivate /
mount -t tmpfs -o mode=755 scratch "$work"
root=$work/root
mkdir "$root"
if [ "$upper" = - ]; then
    upper=$work/upper
    mkdir "$upper"
    space=$work/space
else
    space=$upper.space
fi
mkdir -p "$space"
mount -t overlay -o "lowerdir=$lowers,upperdir=$upper,workdir=$space" overlay "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 memory "$root/dev/shm"

stages=0
while [ "$1" != -- ]; do
    layers=$1 source=$2 target=$root$3 mode=$4
    shift 4
    if [ "$layers" != - ]; then
        stages=$((stages + 1))
        stage=$work/stage$stages
        mkdir "$stage" "$stage.upper" "$stage.space"
        mount -t overlay -o "lowerdir=$layers,upperdir=$stage.upper,workdir=$stage.space" overlay "$stage"
        source=$stage$source
    fi
    if [ -d "$source" ]; then
        mkdir -p "$target"
    else
        mkdir -p "$(dirname "$target")"
        [ -e "$target" ] || touch "$target"
    fi
    mount --bind "$source" "$target"
    [ "$mode" = rw ] || mount -o remount,bind,ro "$target"
done
shift

cd /
# What is started dies with what has started it, which a change of user would otherwise undo.
exec chroot "$root" setpriv --reuid "${user%:*}" --regid "${user#*:}" --clear-groups --pdeathsig KILL -- "$@"
