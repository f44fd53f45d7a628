#!/bin/bash
# Runs as the first process of a sandbox's namespaces: sandbox-init.sh ROOT own|shared
# Turns ROOT (an overlay) into the whole file system and hands over to sandbox-init.py inside it.
set -euo pipefail

root=$1
network=$2
init=$(<"$(dirname "${BASH_SOURCE[0]}")/sandbox-init.py")

mount --make-rprivate /
hostname sandbox
if [ "$network" = own ]; then
    ip link set lo up
fi

cd "$root"
mount -t proc proc proc
mount -t tmpfs -o mode=0755,nosuid run run
mkdir -p run/sshd run/lock
mount -t tmpfs -o mode=0755,nosuid dev dev
node() { mknod -m "$2" "dev/$1" c "$3" "$4"; }
node null 666 1 3
node zero 666 1 5
node full 666 1 7
node random 666 1 8
node urandom 666 1 9
node tty 666 5 0
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
mkdir dev/pts
mkdir -m 1777 dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts dev/pts

pivot_root . .
umount -l .
# From standard input, so that a process list in here stays readable.
exec /usr/bin/python3 - <<<"$init"
