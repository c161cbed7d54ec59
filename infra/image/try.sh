#!/bin/sh
# Builds the serving image without Docker and tries it as the cluster runs it: user 10001, no capabilities, root read-only, two folders to write to.
# sh infra/image/try.sh [BASE_IMAGE], as root, with buildah; without a base image debootstrap makes one of Debian 12. BUILDAH_OPTIONS are handed to the build (a proxy's certificates, say).
set -eu
place=${PLACE:-$(mktemp -d)}  # keeps the base and the image if PLACE names a folder
export TMPDIR="$place"
store="--root $place/store --runroot $place/run --storage-driver vfs"
root=$(cd "$(dirname "$0")/../.." && pwd)
base=${1:-localhost/debian-python:bookworm}

# shellcheck disable=SC2086  # words on purpose
{
if [ $# = 0 ] && ! buildah $store images --quiet "$base" > /dev/null 2>&1; then
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$place/debian" > "$place/debootstrap.log"
    rm -rf "$place"/debian/var/lib/apt/lists/* "$place"/debian/var/cache/apt/*
    made=$(buildah $store from scratch)
    buildah $store add --quiet "$made" "$place/debian" / > /dev/null
    buildah $store commit --quiet --rm "$made" "$base" > /dev/null
fi
buildah $store bud --isolation chroot --file "$root/infra/image/Dockerfile" --ignorefile "$root/.dockerignore" --build-arg "BASE_IMAGE=$base" \
    --build-arg "REVISION=$(git -C "$root" rev-parse HEAD)" --target serving --tag ragwb:serving ${BUILDAH_OPTIONS:-} "$root" > "$place/build.log" 2>&1 || { tail -20 "$place/build.log" >&2; exit 1; }
image=$(buildah $store from localhost/ragwb:serving)
under=$(buildah $store from "$base")
at=$(buildah $store mount "$image")
below=$(buildah $store mount "$under")
}
all=$(du -xsk "$at" | cut -f1) packages=$(du -xsk "$at/opt/ragwb" | cut -f1) first=$(du -xsk "$below" | cut -f1)
echo "unpacked, MB of 1,000,000 bytes (du): all $((all * 1024 / 1000000)), base $((first * 1024 / 1000000)), user, settings and folders $(((all - packages - first) * 1024 / 1000000)), /opt/ragwb $((packages * 1024 / 1000000))"
buildah $store images --noheading --format '{{.Name}} {{.Size}}' localhost/ragwb:serving

mkdir -p "$place/seen"
# The script runs in a mount namespace of its own: nothing of it is left on this machine.
unshare --mount --pid --fork --net sh -eu -c '
    mount --bind "$1" "$2"; mount -o remount,bind,ro "$2"
    mount -t proc proc "$2/proc"; mount -t tmpfs -o mode=1777 tmpfs "$2/tmp"; mount -t tmpfs -o uid=10001,gid=10001,mode=750 tmpfs "$2/var/lib/ragwb"
    mount --rbind /dev "$2/dev"
    mkdir "$2/tmp/docs"; cp -r "$3"/experiments/data/sample/docs/hr "$2/tmp/docs/"
    ip link set lo up 2>/dev/null || true
    cat > "$2/tmp/inside.sh" <<"INSIDE"
set -eu
cd /var/lib/ragwb
echo "user $(id -u), capabilities $(sed -n "s/^CapEff:[[:space:]]*//p" /proc/self/status)"
for place in / /etc /opt/ragwb /usr/local; do if touch "$place/x" 2> /dev/null; then echo "$place can be written to" >&2; exit 1; fi; done
for program in pip gcc cc make git; do if command -v "$program" > /dev/null; then echo "$program is in the image" >&2; exit 1; fi; done
ragwb ingest /tmp/docs
ragwb ask "How many days of annual leave do full-time employees get?"
ragwb serve & server=$!
python3 - <<"ASK"
import json, time, urllib.request
request = urllib.request.Request("http://127.0.0.1:8321/v1/query", json.dumps({"question": "How many days of annual leave do full-time employees get?"}).encode(), {"Content-Type": "application/json"})
for _ in range(120):
    try:
        urllib.request.urlopen("http://127.0.0.1:8321/readyz", timeout=5).read()
        break
    except OSError:
        time.sleep(1)
told = json.loads(urllib.request.urlopen(request, timeout=60).read())
print("over HTTP:", told["answer"])
assert "29 days" in told["answer"] and told["citations"][0]["document"] == "hr/employee-handbook.pdf", told["answer"]
ASK
kill $server; wait $server || true
INSIDE
    exec chroot --userspec=10001:10001 "$2" /usr/bin/env -i PATH=/opt/ragwb/bin:/usr/bin:/bin HOME=/tmp MPLCONFIGDIR=/tmp PYTHONDONTWRITEBYTECODE=1 \
        RAGWB_SETTINGS=/etc/ragwb/settings.ini RAGWB_PROFILE=local RAGWB_HOME=/var/lib/ragwb sh /tmp/inside.sh
' - "$at" "$place/seen" "$root"
# shellcheck disable=SC2086
buildah $store rm --all > /dev/null
echo "the image answers as user 10001 on a root that is read-only"
