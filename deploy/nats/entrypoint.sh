#!/bin/sh
# Runs the server, and has it read certificate and users again when init wrote them anew.
set -eu

secrets=/run/heimnetz/secrets

reload_on_new_secrets() {
  touch /tmp/secrets-loaded
  while sleep 10; do
    if [ -n "$(find "$secrets/tls.crt" "$secrets/users.conf" -newer /tmp/secrets-loaded)" ]; then
      touch /tmp/secrets-loaded
      kill -HUP "$1"
    fi
  done
}

# exec keeps the number of this shell, so the watcher knows the server by it.
reload_on_new_secrets $$ &
exec nats-server --config /etc/heimnetz/nats.conf
