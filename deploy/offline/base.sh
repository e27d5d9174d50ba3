#!/usr/bin/env bash
# Makes the image heimnetz-offline/base:trixie from the Debian mirror that this machine's apt uses.
# $1: the digest of the recipe, kept as a label.
# shellcheck disable=SC2016  # $(SITE) is apt's own variable, and "$1" in a hook is mmdebstrap's.
set -euo pipefail

readonly IMAGE=heimnetz-offline/base:trixie
readonly SUITE=trixie
recipe=$1

say() { printf 'offline: %s\n' "$*" >&2; }

fail() {
  say "$*"
  exit 1
}

# apt knows its mirrors, so that no host has to be named here.
site_of() { apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' "Label: $1" | sort -u | head -n 1; }

sources() {
  local main=${HEIMNETZ_DEBIAN_MIRROR:-$(site_of Debian)} security
  # On Ubuntu apt knows no Debian mirror; mmdebstrap then takes its own default.
  [ -n "$main" ] || return 0
  echo "deb $main $SUITE main"
  echo "deb $main $SUITE-updates main"
  security=$(site_of Debian-Security)
  if [ -n "$security" ]; then echo "deb $security $SUITE-security main"; fi
}

[ "$(id -u)" -eq 0 ] || fail "making base images without a registry needs root"
command -v apt-get >/dev/null || fail "making base images without a registry needs Debian or Ubuntu"
if ! command -v mmdebstrap >/dev/null || [ ! -e /usr/share/keyrings/debian-archive-keyring.gpg ]; then
  [ "${HEIMNETZ_NO_INSTALL:-0}" != 1 ] ||
    fail "mmdebstrap is missing and HEIMNETZ_NO_INSTALL=1 is set: install mmdebstrap and debian-archive-keyring"
  say "installing with apt: mmdebstrap debian-archive-keyring"
  DEBIAN_FRONTEND=noninteractive apt-get -qq update >&2
  DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends \
    mmdebstrap debian-archive-keyring >/dev/null
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sources >"$work/sources"
target=("$work/base.tar")
if [ -s "$work/sources" ]; then target+=("$work/sources"); fi
# A home network with an inspecting proxy has its own certificate authority: what this machine trusts, builds trust.
mkdir -p "$work/authorities"
find /usr/local/share/ca-certificates -name '*.crt' -exec cp -L {} "$work/authorities/" \; 2>/dev/null || true

mmdebstrap --quiet --variant=minbase --mode=root --include=ca-certificates \
  --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
  --aptopt='Acquire::Check-Valid-Until "false"' \
  --aptopt='Dir::Cache::pkgcache ""' --aptopt='Dir::Cache::srcpkgcache ""' \
  --aptopt='DPkg::Post-Invoke {"rm -f /var/cache/apt/archives/*.deb || true";}' \
  --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' \
  --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --customize-hook="cp -r '$work/authorities/.' \"\$1/usr/local/share/ca-certificates/\"" \
  --customize-hook='chroot "$1" update-ca-certificates >/dev/null' \
  --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin "$1"/var/log/*' \
  "$SUITE" "${target[@]}"
docker import --change "LABEL heimnetz.offline.recipe=$recipe" "$work/base.tar" "$IMAGE" >/dev/null
