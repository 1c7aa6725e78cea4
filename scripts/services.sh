# Starts real services on loopback for ./demo, all in one directory, and stops them whatever happens.
# shellcheck shell=bash
#
# Expects `say` and `die` of lib.sh. `services_begin` first; every start_… function sets the ports
# and paths that it names.

pids=()

services_begin() {
    dir=$(mktemp -d)
    chmod 755 "$dir"
    trap services_end EXIT
    trap 'exit 130' INT TERM
}

services_end() {
    local code=$? pid
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    # Whatever failed said so in its log.
    [ "$code" = 0 ] || [ "$code" = 130 ] || tail -n 10 "$dir"/*.log >&2
    rm -rf "$dir"
}

# Runs a server in the background, its output in DIR/NAME.log.
serve() { # NAME COMMAND...
    local name=$1
    shift
    (cd "$dir" && exec "$@") >>"$dir/$name.log" 2>&1 &
    pids+=($!)
}

stop() { # PID
    kill "$1"
    wait "$1" 2>/dev/null || true
}

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 10000))
        listens "$port" || { echo "$port"; return; }
    done
}

wait_until() { # WHAT COMMAND...
    local what=$1 _
    shift
    for _ in $(seq 400); do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.05
    done
    die "$what did not come up"
}

wait_for() { wait_until "port $1" listens "$1"; }

# A certificate authority and certificates in $dir: ca.pem, and NAME.pem with NAME.key.
make_ca() {
    (
        cd "$dir"
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj "/CN=demo CA" \
            -keyout ca.key -out ca.pem
    ) >>"$dir/openssl.log" 2>&1
}

issue() { # NAME HOST
    (
        cd "$dir"
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$2" -keyout "$1.key" -out "$1.csr"
        openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 90 -out "$1.pem" \
            -extfile <(printf 'subjectAltName=DNS:%s,DNS:localhost,IP:127.0.0.1\n' "$2")
    ) >>"$dir/openssl.log" 2>&1
}

# nginx with a redirect on $http and, with the certificate NAME, the API on $https; on a third port
# whatever one likes: nginx.
start_nginx() { # NAME [PORT]
    # nginx gives this one to its own user.
    mkdir -p "$dir/tmp" "$dir/www/static"
    printf 'body { color: black }\n' >"$dir/www/static/app.css"
    chmod -R a+rX "$dir/www"
    cat >"$dir/nginx.conf" <<CONF
daemon off; master_process off; pid $dir/nginx.pid; error_log $dir/nginx.log;
events {}
http {
    access_log off; default_type application/json;
    client_body_temp_path $dir/tmp; proxy_temp_path $dir/tmp; fastcgi_temp_path $dir/tmp; uwsgi_temp_path $dir/tmp; scgi_temp_path $dir/tmp;
    server { listen 127.0.0.1:$http; ${2:+listen 127.0.0.1:$2;} location / { return 301 https://127.0.0.1:$https\$request_uri; } }
    server {
        listen 127.0.0.1:$https ssl;
        ssl_certificate $dir/$1.pem; ssl_certificate_key $dir/$1.key;
        add_header Strict-Transport-Security "max-age=31536000" always;
        add_header Content-Security-Policy "default-src 'self'; frame-ancestors 'none'" always;
        add_header X-Content-Type-Options nosniff always;
        add_header Referrer-Policy no-referrer always;
        add_header X-Request-Id \$request_id always;
        location = /health { return 200 '{"status":"ok","database":{"replicas":2}}'; }
        location /static/ { root $dir/www; types { text/css css; } expires 1h; }
        location /api/ { return 401 '{"detail":"credentials are missing"}'; }
        location = /openapi.json { return 200 '{"openapi":"3.1.0","paths":{"/health":{"get":{}}}}'; }
        location / { return 404 '{"detail":"there is nothing here"}'; }
    }
}
CONF
    serve nginx /usr/sbin/nginx -p "$dir" -c "$dir/nginx.conf"
    nginx=${pids[-1]}
    wait_for "$https"
}

# BIND with the zone demo.test on $dns.
start_bind() {
    cat >"$dir/named.conf" <<CONF
options {
    directory "$dir"; pid-file "$dir/named.pid"; session-keyfile "$dir/session.key";
    listen-on port $dns { 127.0.0.1; }; listen-on-v6 { none; }; recursion no;
};
controls {};
zone "demo.test" { type primary; file "$dir/demo.zone"; };
CONF
    cat >"$dir/demo.zone" <<'ZONE'
$TTL 300
@    IN SOA ns.demo.test. admin.demo.test. 1 3600 600 86400 300
@    IN NS  ns.demo.test.
ns   IN A   127.0.0.1
api  IN A   127.0.0.1
ZONE
    serve named /usr/sbin/named -g -c "$dir/named.conf"
    named=${pids[-1]}
    wait_for "$dns"
}

# PostgreSQL refuses to run as root.
as_postgres=()
[ "$(id -u)" != 0 ] || as_postgres=(setpriv --reuid=postgres --regid=postgres --init-groups env HOME=/tmp)

own_by_postgres() { [ "$(id -u)" != 0 ] || chown -R postgres:postgres "$@"; }

sql() { # DATABASE STATEMENT...
    local database=$1
    shift
    printf '%s\n' "$@" | "${as_postgres[@]}" "$pg_bin/psql" -qXAt -v ON_ERROR_STOP=1 -h "$dir/pg" -p "$pg_primary" -U postgres -d "$database"
}

# A primary with TLS only, pgaudit and an archive, and one standby: pg_primary, pg_standby.
start_postgres() {
    pg_bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n1)
    pg_primary=$(free_port) pg_standby=$(free_port)
    mkdir "$dir/pg" "$dir/pg/archive"
    cp "$dir/db.pem" "$dir/pg/server.pem"
    cp "$dir/db.key" "$dir/pg/server.key"
    chmod 600 "$dir/pg/server.key"
    own_by_postgres "$dir/pg"
    "${as_postgres[@]}" "$pg_bin/initdb" -D "$dir/pg/primary" -U postgres --auth=trust --data-checksums --no-sync >>"$dir/initdb.log" 2>&1
    local me=postgres
    [ "$(id -u)" = 0 ] || me=$(id -un)
    cat >>"$dir/pg/primary/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = '$dir/pg'
ssl = on
ssl_cert_file = '$dir/pg/server.pem'
ssl_key_file = '$dir/pg/server.key'
shared_preload_libraries = 'pgaudit'
pgaudit.log = 'ddl, role, write'
archive_mode = on
archive_command = 'cp %p $dir/pg/archive/%f'
work_mem = '8MB'
fsync = off
CONF
    cat >"$dir/pg/primary/pg_hba.conf" <<CONF
local   all          postgres                 peer map=demo
hostssl all          all       127.0.0.1/32   scram-sha-256
hostssl replication  repl      127.0.0.1/32   scram-sha-256
CONF
    printf 'demo %s postgres\n' "$me" >"$dir/pg/primary/pg_ident.conf"
    own_by_postgres "$dir/pg/primary"
    serve postgres-primary "${as_postgres[@]}" "$pg_bin/postgres" -D "$dir/pg/primary" -p "$pg_primary"
    wait_for "$pg_primary"
    sql postgres "create role repl login replication password 'repl-secret';" "create database app;" \
        "select pg_create_physical_replication_slot('standby1');" >/dev/null
    "${as_postgres[@]}" env PGPASSWORD=repl-secret "$pg_bin/pg_basebackup" -D "$dir/pg/standby" -R -X stream -S standby1 -c fast --no-sync \
        -d "host=127.0.0.1 port=$pg_primary user=repl application_name=standby1 sslmode=require" >>"$dir/basebackup.log" 2>&1
    serve postgres-standby "${as_postgres[@]}" "$pg_bin/postgres" -D "$dir/pg/standby" -p "$pg_standby"
    wait_for "$pg_standby"
}

# What the project of the demo keeps in its database, and the roles that use it. The passwords are
# those of the role with -secret.
fill_database() {
    sql app "create extension pgaudit; create extension pgcrypto;" \
        "create table users (id bigint generated always as identity primary key, name text not null, email bytea not null);" \
        "create table matches (id bigint generated always as identity primary key, played_on date not null);" \
        "create table alembic_version (version_num varchar(32) primary key);" \
        "insert into alembic_version values ('0002');" \
        "insert into users (name, email) select 'user-' || n, pgp_sym_encrypt('user-' || n || '@example.org', 'key') from generate_series(1, 200) n;" \
        "insert into matches (played_on) select date '2025-01-01' + n from generate_series(1, 380) n;" \
        "create role app_ro login password 'app_ro-secret'; grant select on users, matches to app_ro;" \
        "create role exporter login password 'exporter-secret'; grant pg_monitor to exporter;" \
        "create role probe login password 'probe-secret'; grant pg_monitor to probe;" \
        "grant select on pg_hba_file_rules to probe; grant execute on function pg_hba_file_rules() to probe;" \
        "grant select on users, matches, alembic_version to probe;" \
        "select pg_switch_wal();" >/dev/null
}

# A primary and a replica with a password and both kinds of persistence: redis_primary, redis_replica.
start_redis() {
    redis_primary=$(free_port) redis_replica=$(free_port)
    mkdir "$dir/redis" "$dir/redis/primary" "$dir/redis/replica"
    local common=(--bind 127.0.0.1 --requirepass redis-secret --masterauth redis-secret --appendonly yes
        --maxmemory 128mb --maxmemory-policy noeviction --repl-diskless-sync-delay 0)
    serve redis-primary redis-server --port "$redis_primary" --dir "$dir/redis/primary" "${common[@]}"
    wait_for "$redis_primary"
    serve redis-replica redis-server --port "$redis_replica" --dir "$dir/redis/replica" "${common[@]}" --replicaof 127.0.0.1 "$redis_primary"
    wait_for "$redis_replica"
}

# node_exporter, exporters for PostgreSQL and Redis, Alertmanager, and a Prometheus with 25 rules
# that scrapes them all: prometheus, alertmanager. After start_postgres and start_redis; PostgreSQL
# needs a role `exporter` with the password exporter-secret.
start_monitoring() {
    prometheus=$(free_port) alertmanager=$(free_port)
    node_exporter=$(free_port) postgres_exporter=$(free_port) redis_exporter=$(free_port)
    mkdir "$dir/prometheus" "$dir/alertmanager"
    serve node-exporter prometheus-node-exporter --web.listen-address="127.0.0.1:$node_exporter"
    serve postgres-exporter env "DATA_SOURCE_NAME=postgresql://exporter:exporter-secret@127.0.0.1:$pg_primary/app?sslmode=require" \
        prometheus-postgres-exporter --web.listen-address="127.0.0.1:$postgres_exporter"
    serve redis-exporter prometheus-redis-exporter -web.listen-address "127.0.0.1:$redis_exporter" \
        -redis.addr "redis://127.0.0.1:$redis_primary" -redis.password redis-secret
    cat >"$dir/alertmanager/config.yml" <<CONF
route: { receiver: oncall, group_wait: 1s }
receivers: [{ name: oncall }]
CONF
    serve alertmanager prometheus-alertmanager --config.file="$dir/alertmanager/config.yml" --storage.path="$dir/alertmanager/data" \
        --web.listen-address="127.0.0.1:$alertmanager" --cluster.listen-address=
    {
        printf 'groups:\n- name: demo\n  interval: 1s\n  rules:\n'
        local at
        for at in $(seq 25); do
            printf '  - { alert: TargetDown%s, expr: "up == 0", for: %sm, labels: { severity: page } }\n' "$at" "$at"
        done
    } >"$dir/prometheus/rules.yml"
    cat >"$dir/prometheus/prometheus.yml" <<CONF
global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [rules.yml]
alerting: { alertmanagers: [{ static_configs: [{ targets: ["127.0.0.1:$alertmanager"] }] }] }
scrape_configs:
- { job_name: prometheus, static_configs: [{ targets: ["127.0.0.1:$prometheus"] }] }
- { job_name: alertmanager, static_configs: [{ targets: ["127.0.0.1:$alertmanager"] }] }
- job_name: node
  static_configs:
  - { targets: ["127.0.0.1:$node_exporter"], labels: { role: app } }
  - { targets: ["127.0.0.1:$node_exporter"], labels: { role: db } }
  - { targets: ["127.0.0.1:$node_exporter"], labels: { role: cache } }
- { job_name: postgres, static_configs: [{ targets: ["127.0.0.1:$postgres_exporter"] }] }
- { job_name: redis, static_configs: [{ targets: ["127.0.0.1:$redis_exporter"] }] }
CONF
    serve prometheus prometheus --config.file="$dir/prometheus/prometheus.yml" --storage.tsdb.path="$dir/prometheus/data" \
        --web.listen-address="127.0.0.1:$prometheus" --log.level=warn
    local port
    for port in "$node_exporter" "$postgres_exporter" "$redis_exporter" "$alertmanager" "$prometheus"; do wait_for "$port"; done
}
