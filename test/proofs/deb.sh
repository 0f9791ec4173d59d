#!/usr/bin/env bash
# npm run proof:deb: builds the Debian package, installs it in a namespace (this system below an overlay in memory, its
# own systemd as process 1), and lets it do there what a device does. Needs root, Linux and systemd.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
for need in unshare dpkg-deb systemd-notify curl; do
  command -v "$need" >/dev/null || { echo "deb: $need is not here"; exit 1; }
done
[ "$(id -u)" = 0 ] || { echo "deb: root is needed for namespaces"; exit 1; }

share=$(mktemp -d)
group=$(findmnt -n -o TARGET -t cgroup2 | head -1)/polaredge-proof-$$
cleanup() {
  rm -rf "$share"
  for _ in 1 2 3 4 5; do find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && break || sleep 0.2; done
}
trap cleanup EXIT

cd "$here/../.."
npm run -s build
deb=$(tools/deploy/build-deb.sh "$share")
size=$(du -h "$deb" | cut -f1)
first=$(sha256sum <"$deb")
tools/deploy/build-deb.sh "$share" >/dev/null
[ "$first" = "$(sha256sum <"$deb")" ] || { echo "FAILED: the same tree gave another package"; exit 1; }
echo "built: $(basename "$deb"), $size, $(dpkg-deb -f "$deb" Installed-Size) KB installed, the same bytes twice"

cp "$here/deb-checks.sh" "$share/checks.sh"
mkdir "$group"
status=0
(
  echo "$BASHPID" >"$group/cgroup.procs"
  exec timeout -s KILL 600 unshare --mount --pid --fork --kill-child --cgroup --uts --ipc "$here/deb-namespace.sh" "$share"
) || status=$?
cat "$share/report"
held=$(grep -c '^ok' "$share/report" || true)
failed=$(grep -c '^FAILED' "$share/report" || true)
echo "deb: $held of $((held + failed)) hold, $size"
exit "$status"
