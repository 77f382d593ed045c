#!/bin/bash
# Puts everything Vigie needs on this machine, and nothing twice: Debian packages, the system user, a virtual
# environment from the hashed lock file, and an Asterisk of its own when none on PATH is recent enough.
# Safe to run again from any state, also after an interruption; it returns at once when nothing is missing.
set -euo pipefail
umask 022
cd "$(dirname "$0")"

readonly CLONE=$PWD
readonly HOME_DIR=/opt/vigie
readonly STATE_DIR=/var/lib/vigie
readonly ASTERISK=$HOME_DIR/asterisk
readonly ASTERISK_SUITE=forky # the first Debian suite with Asterisk 22.7 or later
readonly ASTERISK_PACKAGES=asterisk,asterisk-core-sounds-fr-wav,asterisk-core-sounds-en-wav
readonly PACKAGES=(agi_scripts ari_app db lab lasting notify oncall scheduler vigie voice)
readonly NEEDED_MB=1500
readonly PYTHON=/usr/bin/python3
readonly UNFINISHED=$HOME_DIR/.packages-unfinished # apt-get was begun: a program may be there without its libraries
jobs=()

say() { printf '\e[1mvigie\e[0m %4ds  %s\n' "$SECONDS" "$*"; }
clean_up() {
    local job
    exec 2>/dev/null # what the shell says of each job that it ends
    for job in "${jobs[@]}"; do kill -- "-$job" || true; done
    wait || true
    rm -rf "$LOG"
}
fail() {
    printf 'vigie: %s\n' "$@" >&2
    exit 1
}

# --- what is there -------------------------------------------------------------------------------------------------

has_postgresql() { compgen -G '/usr/lib/postgresql/1[5-9]/bin/postgres' >/dev/null ||
    compgen -G '/usr/lib/postgresql/[2-9][0-9]/bin/postgres' >/dev/null; }
has_venv() { [[ -n $(compgen -G '/usr/lib/python3*/ensurepip/__init__.py') ]]; }
has_python() { "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
has_recent_asterisk() {
    [[ -x $ASTERISK/usr/sbin/asterisk ]] && return
    local version
    version=$(asterisk -V 2>/dev/null) || return
    version=$(grep -oE '[0-9]+\.[0-9]+' <<<"$version" | head -1)
    [[ $(printf '%s\n' 22.7 "$version" | sort -V | head -1) == 22.7 ]]
}
has() { command -v "$1" >/dev/null; }

missing_packages() {
    has_python || echo python3
    has_venv || echo python3-venv
    has_postgresql || echo postgresql
    has sox || echo sox
    has openssl || echo openssl
    has espeak-ng || echo espeak-ng
    has sipp || echo sip-tester
    has_recent_asterisk || has mmdebstrap || echo mmdebstrap
}

lock_stamp() { { "$PYTHON" -V && cat requirements.lock; } | sha256sum | cut -d' ' -f1; }

# --- how it gets there ---------------------------------------------------------------------------------------------

install_packages() {
    say "Debian packages: ${*:-what was interrupted}"
    export DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1
    if [[ ! -e /etc/postgresql-common/createcluster.conf ]]; then
        # Vigie runs a cluster of its own; without this the package would make and start another one.
        mkdir -p /etc/postgresql-common
        echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
    fi
    local get=(apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120)
    [[ -z $(dpkg --audit) ]] || dpkg --configure -a >"$LOG/apt" 2>&1 || true # what remains wrong, apt-get says
    [[ ! -e $UNFINISHED ]] || "${get[@]}" install -y --fix-broken >"$LOG/apt" 2>&1 || true
    touch "$UNFINISHED"
    if ! "${get[@]}" install -y --no-install-recommends "$@" >"$LOG/apt" 2>&1; then
        say 'Debian packages: refreshing the lists first'
        "${get[@]}" update >>"$LOG/apt" 2>&1 || true # a dead third-party source must not stop us
        "${get[@]}" install -y --no-install-recommends "$@" >>"$LOG/apt" 2>&1 ||
            fail 'apt-get could not install them:' "$(tail -5 "$LOG/apt")"
    fi
    rm "$UNFINISHED"
}

make_user() {
    getent passwd vigie >/dev/null ||
        useradd --system --user-group --home-dir "$STATE_DIR" --no-create-home --shell /usr/sbin/nologin vigie
    [[ -d $STATE_DIR ]] || install -d -o vigie -g vigie -m 0700 "$STATE_DIR"
}

# The programs of another Debian suite run from a directory, with that suite's own libraries; nothing is installed.
fetch_asterisk() {
    local mirror draft=$ASTERISK.new
    mirror=$(apt-get indextargets --format '$(SITE) $(CODENAME) $(RELEASE)' 'Created-By: Packages' |
        awk -v suite="$VERSION_CODENAME" '$2 == suite || $3 == suite { print $1; exit }')
    [[ -n $mirror ]] || fail "no Debian mirror for $VERSION_CODENAME is configured in /etc/apt/sources.list.d"
    rm -rf "$draft"
    mmdebstrap --quiet --variant=extract --components=main --aptopt='Acquire::Check-Valid-Until "false"' \
        --include="$ASTERISK_PACKAGES" "$ASTERISK_SUITE" "$draft" "$mirror" >"$LOG/asterisk" 2>&1 ||
        fail "Asterisk could not be fetched:" "$(tail -5 "$LOG/asterisk")"
    chmod 755 "$draft"
    mv "$draft" "$ASTERISK"
}

make_venv() {
    local venv=$1
    local -x TMPDIR=$LOG # an interrupted pip leaves much behind
    rm -rf "$venv"
    "$PYTHON" -m venv "$venv"
    "$venv/bin/pip" install --quiet --no-input --disable-pip-version-check --require-hashes -r requirements.lock \
        >"$LOG/venv" 2>&1 || fail 'the Python packages could not be installed:' "$(tail -5 "$LOG/venv")"
    lock_stamp >"$venv/.lock"
}

# The user vigie runs the clone itself when it can read it, else a copy.
place_application() {
    local reader=(setpriv --reuid vigie --regid vigie --init-groups)
    if "${reader[@]}" test -r "$CLONE/pyproject.toml"; then
        [[ $(readlink "$HOME_DIR/app" || true) == "$CLONE" ]] && return
        rm -rf "$HOME_DIR/app"
        ln -s "$CLONE" "$HOME_DIR/app"
    elif ! diff -rq -x .git -x .venv -x __pycache__ -x '.*_cache' "$CLONE" "$HOME_DIR/app" >/dev/null 2>&1; then
        say "application: copied from $CLONE, which the user vigie cannot read"
        rm -rf "$HOME_DIR/app" "$HOME_DIR/app.new"
        mkdir "$HOME_DIR/app.new"
        tar -C "$CLONE" --exclude=.git --exclude=.venv --exclude=__pycache__ --exclude='.*_cache' -cf - . |
            tar -C "$HOME_DIR/app.new" --no-same-owner -xf -
        chmod -R go=rX "$HOME_DIR/app.new"
        mv "$HOME_DIR/app.new" "$HOME_DIR/app"
    fi
}

make_command() {
    local venv=$1 application=$2 packages
    packages=$(echo "$venv"/lib/python3*/site-packages)
    echo "$application" >"$packages/vigie.pth"
    printf '#!%s -I\nfrom vigie.cli import main\n\nmain()\n' "$venv/bin/python" >"$venv/bin/vigie"
    chmod 755 "$venv/bin/vigie"
}

fail_elsewhere() {
    fail "missing, and installed only by root on Debian: $*" \
        'Run ./install.sh as root on Debian, or install them yourself and run it again. Vigie needs Python 3.11 with' \
        'venv, PostgreSQL 15, Asterisk 22.7 with its French sounds, sox, openssl, espeak-ng and SIPp, or later versions.'
}

# --- the two ways ---------------------------------------------------------------------------------------------------

install_for_machine() {
    [[ -r /etc/os-release ]] && . /etc/os-release
    mkdir -p "$HOME_DIR"
    exec 9>"$HOME_DIR/.install.lock"
    flock -n 9 || { say 'another install.sh is running; waiting for it' && flock 9; }
    LOG=$(mktemp -d)
    trap clean_up EXIT
    trap 'exit 130' INT # apt-get stops in good order, which looks as if nobody had interrupted us

    local packages venv=$HOME_DIR/venv
    mapfile -t packages < <(missing_packages)
    if ((${#packages[@]})) || [[ -e $UNFINISHED ]]; then
        [[ ${ID:-} == debian ]] || fail_elsewhere "${packages[@]}"
        local free
        free=$(df --output=avail -m "$HOME_DIR" | tail -1)
        ((free >= NEEDED_MB)) || fail "$HOME_DIR has $free MB free; $NEEDED_MB MB are needed"
        install_packages "${packages[@]}"
    fi
    has_python || fail "$PYTHON is older than Python 3.11, which is needed"
    make_user
    set -m # each job in a process group of its own, to be ended with all that it started
    if ! has_recent_asterisk; then
        [[ ${ID:-} == debian ]] || fail_elsewhere asterisk
        say "Asterisk 22 from Debian $ASTERISK_SUITE into $ASTERISK"
        fetch_asterisk &
        jobs+=($!)
    fi
    if [[ $(cat "$venv/.lock" 2>/dev/null) != "$(lock_stamp)" ]]; then
        say "Python packages into $venv"
        make_venv "$venv" &
        jobs+=($!)
    fi
    local job
    for job in "${jobs[@]}"; do wait "$job" || exit 1; done
    place_application
    [[ -x $venv/bin/vigie ]] || make_command "$venv" "$HOME_DIR/app"
    # The user vigie cannot write beside the sources, and would compile them anew at each start.
    (cd "$HOME_DIR/app" && "$venv/bin/python" -m compileall -q "${PACKAGES[@]}")
    ((${#packages[@]} + ${#jobs[@]} == 0)) || say 'installed'
}

install_for_user() {
    local packages
    mapfile -t packages < <(missing_packages | grep -vx mmdebstrap)
    has_recent_asterisk || packages+=(asterisk)
    ((${#packages[@]} == 0)) || fail_elsewhere "${packages[@]}"
    LOG=$(mktemp -d)
    trap clean_up EXIT
    if [[ $(cat .venv/.lock 2>/dev/null) != "$(lock_stamp)" ]]; then
        [[ -w $CLONE ]] || fail "$CLONE is not yours to write; clone Vigie into a directory of your own"
        say 'Python packages into .venv'
        make_venv "$CLONE/.venv"
    fi
    [[ -x .venv/bin/vigie ]] || make_command "$CLONE/.venv" "$CLONE"
}

if ((EUID == 0)); then install_for_machine; else install_for_user; fi
