#!/usr/bin/env bash
# Of deb.sh: runs as a service of the namespace's systemd; a line per promise goes to the report.
set -uo pipefail
cd /mnt/share
exec >report 2>&1
failed=0
check() {
  local what=$1 output
  shift
  if output=$("$@" 2>&1); then echo "ok      $what${output:+: $(tail -1 <<<"$output")}"; else
    failed=$((failed + 1))
    echo "FAILED  $what"
    sed 's/^/        /' <<<"$output"
  fi
}
ask() { runuser -u polaredge -- curl -sS --max-time 5 --unix-socket /run/polaredge/polaredge.sock "http://device$1" -w '%{http_code}'; }
show() { systemctl show polaredge --value -p "$1"; }
is() { [ "$1" = "$2" ] && echo "$1" || { echo "expected $2, found $1"; return 1; }; }
until_true() { for _ in $(seq 100); do "$@" >/dev/null 2>&1 && return 0; sleep 0.2; done; "$@"; }

installed() { dpkg -i polaredge_*_all.deb && dpkg -s polaredge | grep -q 'Status: install ok installed'; }
check "the package installs" installed
check "without a configuration it does not start" is "$(systemctl is-active polaredge)" inactive
check "systemd-analyze verify" systemd-analyze verify /usr/lib/systemd/system/polaredge.service
check "init writes the configuration" polaredge init --id pi-1
check "the service says that it is ready" systemctl start polaredge
check "it is alive" bash -c "$(declare -f ask); ask /v2/health/live | grep -x 200"
check "and knows that it has no model" bash -c "$(declare -f ask); ask /v2/health/ready | grep 503"
check "metrics" bash -c "$(declare -f ask); ask /metrics | grep '^polaredge_ready 0'"
pid=$(show MainPID)
check "not as root" is "$(stat -c %U "/proc/$pid")" polaredge
in_dialout() { grep -w "^Groups:.*$(getent group dialout | cut -d: -f3)" "/proc/$pid/status"; }
check "it may open serial ports" in_dialout
check "no privileges, no capabilities, system calls filtered" \
  is "$(awk '/^(CapEff|NoNewPrivs|Seccomp):/ {printf "%s ", $2}' "/proc/$pid/status")" "0000000000000000 1 2 "
check "its memory is limited" is "$(show MemoryMax)" $((640 << 20))
exposure() { systemd-analyze security polaredge --no-pager --threshold=25 | tail -1; }
check "systemd-analyze security" exposure
check "doctor has nothing to say against it" runuser -u polaredge -- polaredge doctor --config /etc/polaredge.json

# A process that hangs: nobody answers the watchdog any more.
mkdir -p /run/systemd/system/polaredge.service.d
printf '[Service]\nWatchdogSec=3\nRestartSec=0\n' >/run/systemd/system/polaredge.service.d/short.conf
systemctl daemon-reload && systemctl restart polaredge
sleep 7
check "the watchdog is fed" is "$(show NRestarts)" 0
kill -STOP "$(show MainPID)"
restarted() { [ "$(show NRestarts)" = 1 ] && [ "$(systemctl is-active polaredge)" = active ]; }
check "one that hangs is started anew" until_true restarted
echo '{}' >/etc/polaredge.json
systemctl restart polaredge 2>/dev/null
check "a wrong configuration is not tried again and again" is "$(show ExecMainStatus) $(show NRestarts)" "2 0"

udev() { udevadm test /sys/class/tty/ttyS0 2>&1 | tee /tmp/udev | grep -q 'Reading rules file: .*70-polaredge.rules' && ! grep -E '70-polaredge.*(Invalid|Unknown|ignoring)' /tmp/udev; }
check "the udev rules are read" udev
completes() { source /usr/share/bash-completion/completions/polaredge && COMP_WORDS=(polaredge fl) COMP_CWORD=1 && _polaredge && is "${COMPREPLY[*]}" fleet; }
check "bash completes" completes
mission() { cd /tmp && runuser -u polaredge -- env HOME=/tmp polaredge demo --in-process; }
check "the whole mission, as installed" mission

systemctl stop polaredge
check "removed" dpkg -r polaredge
check "purged" dpkg -P polaredge
gone() { ! ls -d /usr/lib/polaredge /usr/bin/polaredge /etc/polaredge.json /var/lib/polaredge /usr/lib/systemd/system/polaredge.service 2>/dev/null; }
check "nothing is left" gone
systemctl exit "$((failed > 0))"
