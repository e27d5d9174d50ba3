#!/bin/sh
# Makes the cluster at the first start, reloads when init renewed the certificate, runs the server.
set -eu

secrets=/run/heimnetz/secrets
config=/etc/heimnetz

# The cluster is made beside its place and renamed when it is whole: an aborted first start begins
# again, and never leaves a half-made cluster that looks like data.
make_cluster() {
  fresh=$PGDATA.new
  rm -rf "$fresh"
  initdb --pgdata="$fresh" --username=postgres --pwfile="$secrets/admin-password" \
    --auth-local=peer --auth-host=scram-sha-256 --data-checksums --encoding=UTF8 \
    --locale-provider=builtin --builtin-locale=C.UTF-8 --locale=C.UTF-8
  pg_ctl --pgdata="$fresh" --wait --options="-c listen_addresses='' -c unix_socket_directories=/var/run/postgresql" start
  for file in "$config"/first-start/*.sql; do
    psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --username=postgres --dbname=postgres --file="$file"
  done
  pg_ctl --pgdata="$fresh" --wait --mode=fast stop
  sync
  mv "$fresh" "$PGDATA"
}

reload_on_new_certificate() {
  touch /tmp/certificate-loaded
  while sleep 10; do
    if [ -n "$(find "$secrets/tls.crt" -newer /tmp/certificate-loaded)" ]; then
      touch /tmp/certificate-loaded
      kill -HUP "$1"
    fi
  done
}

[ -d "$PGDATA" ] || make_cluster
# exec keeps the number of this shell, so the watcher knows the server by it.
reload_on_new_certificate $$ &
exec postgres -D "$PGDATA" -c "config_file=$config/postgresql.conf"
