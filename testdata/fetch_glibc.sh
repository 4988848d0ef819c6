#!/bin/sh
# Unpacks another Debian suite's glibc into a private root, for tests that run a program on it:
#
#     fetch_glibc.sh DIR SUITE      e.g. fetch_glibc.sh build/glibc bullseye
#
# Leaves DIR/SUITE/root/… (the package's files) and prints that path. Nothing is installed and no system file changes:
# apt gets a configuration of its own (state, cache, one source line), downloads libc6 and dpkg-deb unpacks it. The mirror is the one
# that the machine's own apt sources name for Debian. A second call finds the root and does nothing.
# Calls for one suite wait for each other; a failure is remembered for ten minutes, so that thirty tests do not each wait for a
# network that is not there.
# Exit status 1 and one line on standard error when the suite cannot be had (no apt, no Debian source, no network).
set -eu

[ $# -eq 2 ] || { echo "usage: $0 DIR SUITE" >&2; exit 2; }
mkdir -p "$1"
dir=$(cd "$1" && pwd)/$2
suite=$2

give_up() {
  echo "glibc of $suite: $*" | tee "$dir.failed" >&2
  exit 1
}

exec 9>"$dir.lock"
flock 9

# Tests run side by side: one fetches, the others wait for it.
exec 9>"$dir.lock"
flock 9
if [ -e "$dir/done" ]; then
  echo "$dir/root"
  exit 0
fi
if [ -n "$(find "$dir.failed" -mmin -10 2>/dev/null)" ]; then
  cat "$dir.failed" >&2
  exit 1
fi
rm -f "$dir.failed"
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || give_up "no apt-get or dpkg-deb here"
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 2>/dev/null | grep -v security | head -n 1)
[ -n "$mirror" ] || mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
  sed -n -e 's/^URIs: *\([^ ]*\).*/\1/p' -e 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\).*/\2/p' | grep '/debian/\{0,1\}$' | head -n 1)
[ -n "$mirror" ] || give_up "the apt sources name no Debian mirror"

rm -rf "$dir"
mkdir -p "$dir/apt/state/lists/partial" "$dir/apt/cache/archives/partial" "$dir/apt/etc" "$dir/root"
echo "deb $mirror $suite main" >"$dir/apt/etc/sources.list"
: >"$dir/apt/status"
cat >"$dir/apt/apt.conf" <<CONF
Dir::State "$dir/apt/state";
Dir::State::status "$dir/apt/status";
Dir::Cache "$dir/apt/cache";
Dir::Etc::sourcelist "$dir/apt/etc/sources.list";
Dir::Etc::sourceparts "-";
Dir::Etc::main "-";
Dir::Etc::preferences "-";
Dir::Etc::preferencesparts "-";
Acquire::Languages "none";
Acquire::Retries "1";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
APT::Sandbox::User "";
Debug::NoLocking "true";
CONF
export APT_CONFIG="$dir/apt/apt.conf"
apt-get -q update >"$dir/apt/log" 2>&1 || give_up "apt-get update failed: $(grep -m 1 '^[EW]:' "$dir/apt/log")"
(cd "$dir/apt" && apt-get -q download libc6 >>log 2>&1) || give_up "download failed: $(grep -m 1 '^[EW]:' "$dir/apt/log")"
dpkg-deb -x "$dir"/apt/libc6_*.deb "$dir/root" || give_up "libc6 does not unpack"
rm -rf "$dir/apt"
touch "$dir/done"
echo "$dir/root"
