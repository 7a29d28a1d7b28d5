#!/bin/sh
# Brings a machine to the point where the demo and the tests run: system packages, then the locked dependencies.
# Says what it installs as it installs it; says in one line what is missing where it cannot.
# Arguments: further programs, as program:package (the peers of the benchmarks).
set -eu
cd "$(dirname "$0")/.."

fail() { printf 'ambit: %s\n' "$1" >&2; exit 1; }

[ "$(uname -s)" = Linux ] || fail "network namespaces and nftables are needed: this runs on Linux, not on $(uname -s)."
[ "$(id -u)" = 0 ] || fail "root is needed to make network namespaces: run it with sudo, or in a container or VM as root."
command -v npx >/dev/null || fail "node and npm are needed: install them first (Debian: apt-get install nodejs npm)."

missing=""
for pair in curl:curl openssl:openssl nghttp:nghttp2-client nft:nftables ip:iproute2 tcpdump:tcpdump kubectl:kubernetes-client nsenter:util-linux mount:mount "$@"; do
  command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
done
if [ -n "$missing" ]; then
  command -v apt-get >/dev/null || fail "these are missing and there is no apt-get to install them:$missing."
  export DEBIAN_FRONTEND=noninteractive
  echo "Fetching Debian's package lists"
  apt-get update -qq || fail "apt-get update failed: the packages$missing cannot be installed."
  for package in $missing; do
    echo "Installing $package"
    # RUNLEVEL keeps a package from starting a service of its own.
    RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "$package" >/dev/null || fail "apt-get could not install $package."
  done
fi

# The lockfile decides: the same lockfile is not installed twice.
stamp=node_modules/.ambit-installed
wanted=$(cat pnpm-lock.yaml pnpm-workspace.yaml package.json packages/*/package.json | sha256sum)
if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ]; then
  echo "Installing the locked dependencies"
  npx --yes pnpm@12 install --frozen-lockfile || fail "the dependencies could not be installed: see pnpm's message above."
  printf '%s\n' "$wanted" >"$stamp"
fi
