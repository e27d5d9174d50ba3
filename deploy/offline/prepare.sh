#!/usr/bin/env bash
# Finds out once whether an image registry can be reached, remembers it in .env, and where none can,
# makes stand-ins for the base images that are missing or whose recipe changed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
readonly here root
readonly ENV_FILE=$root/.env
readonly PROBE_SECONDS=${HEIMNETZ_PROBE_SECONDS:-20}
readonly BEGIN='# >>> base images, written by deploy/offline/prepare.sh; delete this block to look again'
readonly END='# <<< base images'
readonly STAND_INS=(python postgres nats prometheus alertmanager caddy)

say() { printf 'offline: %s\n' "$*" >&2; }

remembered() { sed -n 's/^HEIMNETZ_IMAGES=//p' "$ENV_FILE" 2>/dev/null | tail -n 1; }

# The first base image that the stack needs anyway, so that a probe that succeeds is no wasted download.
probe_image() { sed -n 's/^ARG NATS_IMAGE=//p' "$root/deploy/nats/Dockerfile" | head -n 1; }

registry_answers() {
  local image words
  image=$(probe_image)
  docker image inspect "$image" >/dev/null 2>&1 && return
  say "looking for an image registry (at most $PROBE_SECONDS s)"
  # A slow line is not an absent registry: once the manifest is there, the engine says "Pulling".
  words=$(timeout "$PROBE_SECONDS" docker pull "$image" 2>&1) && return
  grep -Eq 'Pulling (from|fs layer)' <<<"$words"
}

remember() {
  local kept
  kept=$(sed "/^# >>> base images/,/^# <<< base images/d" "$ENV_FILE" 2>/dev/null) || true
  {
    if [ -n "$kept" ]; then printf '%s\n' "$kept"; fi
    echo "$BEGIN"
    echo "HEIMNETZ_IMAGES=$1"
    if [ "$1" = stand-in ]; then
      echo "COMPOSE_FILE=docker-compose.yml:deploy/offline/without-grafana.yml"
      for name in "${STAND_INS[@]}"; do
        echo "${name^^}_IMAGE=heimnetz-offline/$name:trixie"
      done
    fi
    echo "$END"
  } >"$ENV_FILE.new"
  mv "$ENV_FILE.new" "$ENV_FILE"
}

recipe_of() { cat "$@" | sha256sum | cut -c1-16; }

is_current() {
  [ "$(docker image inspect --format '{{index .Config.Labels "heimnetz.offline.recipe"}}' "heimnetz-offline/$1:trixie" 2>/dev/null)" = "$2" ]
}

build_missing() {
  local base recipe missing=()
  base=$(recipe_of "$here/base.sh")
  recipe=$(recipe_of "$here/base.sh" "$here/Dockerfile")
  for name in "${STAND_INS[@]}"; do
    is_current "$name" "$recipe" || missing+=("$name")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  say "making stand-in images: ${missing[*]} (a few minutes, once)"
  is_current base "$base" || "$here/base.sh" "$base"
  RECIPE=$recipe docker compose --file "$here/images.yml" --env-file /dev/null --progress quiet build "${missing[@]}"
}

main() {
  if [ -z "$(remembered)" ]; then
    if registry_answers; then
      remember registry
    else
      say "no image registry can be reached: stand-ins are made from Debian packages, and Grafana, which has none, is left out"
      remember stand-in
    fi
  fi
  if [ "$(remembered)" = stand-in ]; then build_missing; fi
}

main
