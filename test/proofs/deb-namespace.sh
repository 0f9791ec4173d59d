#!/usr/bin/env bash
# Of deb.sh: inside new namespaces, becomes the systemd of a copy of this system that is forgotten afterwards.
set -euo pipefail
share=$1
root=$share/root
mkdir "$root"
mount -t tmpfs tmpfs "$root"
mkdir "$root"/{upper,work,system}
mount -t overlay overlay -o "lowerdir=/,upperdir=$root/upper,workdir=$root/work" "$root/system"
cd "$root/system"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 none sys/fs/cgroup
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mount --rbind /dev dev
mkdir -p mnt/share
mount --bind "$share" mnt/share
# Nothing of this system's own services.
rm -rf etc/systemd/system/*.wants usr/sbin/policy-rc.d
cat >etc/systemd/system/checks.service <<'END'
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecStart=/bin/bash /mnt/share/checks.sh
END
export container=polaredge-proof
exec chroot . /lib/systemd/systemd --system --unit=checks.service --log-target=null
