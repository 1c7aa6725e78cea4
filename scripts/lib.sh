# Shared by ./test and ./demo: says what it does, installs what is missing, nothing twice.
# shellcheck shell=bash

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# What a build needs: a C compiler and cmake for the TLS library, a C++ compiler and the headers of
# OpenSSL for the Kafka client.
# shellcheck disable=SC2034
build_packages=(gcc g++ libc6-dev cmake make pkg-config ca-certificates libssl-dev)

# Runs a command as root: as it is, or through sudo.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null 2>&1; then sudo "$@"
    else die "installing packages needs root: run this as root, or install sudo"
    fi
}

# Installs the Debian packages that are missing. Their services are not started: on a machine
# of yours they would take the ports of what you run.
need_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    command -v apt-get >/dev/null 2>&1 || die "this needs Debian or a derivative; install by hand: ${missing[*]}"
    say "installing ${missing[*]}"
    local policy=/usr/sbin/policy-rc.d made=
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
        made=1
    fi
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        as_root mkdir -p /etc/postgresql-common
        printf 'create_main_cluster = false\n' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
    fi
    local failed=
    as_root env DEBIAN_FRONTEND=noninteractive sh -c 'apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@"' sh "${missing[@]}" >/dev/null || failed=1
    [ -z "$made" ] || as_root rm -f "$policy"
    [ -z "$failed" ] || die "apt-get could not install ${missing[*]}"
}

# A Rust toolchain that is new enough.
need_rust() {
    local wanted have
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    [ -x "$HOME/.cargo/bin/cargo" ] && PATH="$HOME/.cargo/bin:$PATH"
    command -v cargo >/dev/null 2>&1 || die "no Rust toolchain: install Rust $wanted or newer with rustup, then run this again"
    have=$(rustc --version | cut -d' ' -f2)
    [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n1)" = "$wanted" ] ||
        die "Rust $have is too old: 'rustup update stable' brings $wanted or newer"
}
