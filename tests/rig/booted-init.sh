#!/bin/bash
# Runs as the first process of the namespaces that systemd-nspawn is started in, and waits there for the end.
#
# A machine that boots, ends and boots again keeps their network. Of the machine of the tests nothing is touched: /run and
# the control groups that systemd-nspawn writes to are their own.
set -euo pipefail

mount --make-rprivate /
ip link set lo up
mount -t tmpfs -o mode=0755,nosuid run /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
echo ready
exec sleep infinity
