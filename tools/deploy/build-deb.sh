#!/usr/bin/env bash
# build-deb.sh FOLDER: polaredge_VERSION_all.deb, with the dependencies of package-lock.json and the serial port's
# binary for every Linux that Node runs on. The same tree gives the same bytes. Prints the file's path.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=$(mkdir -p "$1" && cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$root"
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
version=$(node -p 'require("./package.json").version')
description=$(node -p 'require("./package.json").description')

lib=$work/usr/lib/polaredge
mkdir -p "$work/pack" "$lib"
npm pack --silent --pack-destination "$work/pack" >/dev/null
tar -xzf "$work"/pack/*.tgz -C "$lib" --strip-components=1
rm -r "$work/pack"
cp package-lock.json "$lib/"
(cd "$lib" && npm ci --silent --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund >&2)
rm -f "$lib/package-lock.json" "$lib/node_modules/.package-lock.json"
find "$lib" -path '*/prebuilds/*' -maxdepth 6 -type d ! -name 'linux-*' -exec rm -r {} +
find "$lib/node_modules" -type f \( -name '*.musl.node' -o -name '*.map' -o -name '*.md' -o -name '*.ts' \
  -o -name '.*' \) -delete
find "$lib" -type f -exec chmod 644 {} +
find "$lib/node_modules/@tensorflow" -type d \( -name src -o -name demo \) -prune -exec rm -r {} +

cli="node $lib/dist/tools/cli.js"
chmod 755 "$lib/dist/tools/cli.js"
install -d "$work/usr/bin" "$work/DEBIAN"
ln -s ../lib/polaredge/dist/tools/cli.js "$work/usr/bin/polaredge"
install -Dm644 "$here/polaredge.service" "$work/usr/lib/systemd/system/polaredge.service"
install -Dm644 "$here/70-polaredge.rules" "$work/usr/lib/udev/rules.d/70-polaredge.rules"
install -Dm644 LICENSE "$work/usr/share/doc/polaredge/copyright"
install -d "$work/usr/share/bash-completion/completions" "$work/usr/share/zsh/vendor-completions" \
  "$work/usr/share/fish/vendor_completions.d"
$cli completion bash >"$work/usr/share/bash-completion/completions/polaredge"
$cli completion zsh >"$work/usr/share/zsh/vendor-completions/_polaredge"
$cli completion fish >"$work/usr/share/fish/vendor_completions.d/polaredge.fish"
for script in postinst prerm postrm; do install -m755 "$here/debian/$script" "$work/DEBIAN/$script"; done
cat >"$work/DEBIAN/control" <<END
Package: polaredge
Version: $version
Architecture: all
Maintainer: polaredge contributors <polaredge@localhost>
Installed-Size: $(find "$work" -type f -printf '%s\n' | awk '{ kib += int(($1 + 1023) / 1024) } END { print kib }')
Depends: nodejs (>= 20.19), adduser
Recommends: systemd
Section: science
Priority: optional
Description: runtime for fleets of small neural networks on small computers
$(fold -s -w 78 <<<"$description" | sed 's/^/ /; s/ *$//')
END
find "$work" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
chmod -R u=rwX,go=rX "$work"
deb=$out/polaredge_${version}_all.deb
dpkg-deb --root-owner-group -Zxz -z6 --build "$work" "$deb" >&2
echo "$deb"
