#!/bin/sh
# Installs the Runnel agent on this device, or upgrades it in place. Run again it changes only what
# is not yet so.
#
# As root it becomes a service of its own user; otherwise everything stays in the home directory.
# Nothing but the control plane is asked for anything. An archive is unpacked only when it has the
# checksum below, and put to use only when the control plane that the join token names has signed
# it; the command line that a person copied carries the checksum of this file. So plain HTTP, and
# HTTPS of a private CA, are as good as any other way here.
set -eu

# Filled in by the control plane that serves this file.
VERSION='@VERSION@'
DEFAULT_URL='@URL@'
# One line for each archive: KIND PLATFORM COMPRESSION NAME SIZE SHA256.
PACKAGES='@PACKAGES@'
# The private CA of the control plane's address, PEM; or nothing.
CA_PEM='@CA@'

USAGE="sh install.sh --url URL --token TOKEN [options]

  --url URL          the control plane
  --token TOKEN      join token, from \"Add device\" or: runnel token create --role agent
  --name NAME        name shown to people (default: the host name)
  --label KEY=VALUE  label for placement; repeatable
  --with-sql         with DuckDB, for the task sql of batch jobs (70 MB more on disk)
  --memory-max SIZE  what systemd lets the agent take, as in MemoryMax= (default 50%)
  --user             into the home directory, also as root
  --root DIR         into the tree of an image that is being made: no start, no identity
  --platform NAME    with --root: linux-x64 or linux-arm64 (default: this machine's)
  --archive FILE     this archive instead of a download; with --sha256 HEX
  --no-start         do not start it

Without --token an agent that is enrolled already is upgraded."

NODE_GLIBC_MIN=2.28
DISK_KIB_MIN=307200
WAIT_S=30

say() { printf '%s\n' "$*"; }
fail() {
  printf 'install: %s\n' "$*" >&2
  exit 1
}
wrong_usage() {
  printf 'install: %s\n\n%s\n' "$1" "$USAGE" >&2
  exit 2
}
has() { command -v "$1" >/dev/null 2>&1; }

url=$DEFAULT_URL token='' name='' labels='' sql='' memory_max='50%' mode='' root='' platform=''
archive='' archive_sha256='' start=yes

read_options() {
  while [ $# -gt 0 ]; do
    case $1 in
      --with-sql) sql=yes ;;
      --user) mode=user ;;
      --no-start) start='' ;;
      -h | --help)
        say "$USAGE"
        exit 0
        ;;
      --url | --token | --name | --label | --memory-max | --root | --platform | --archive | --sha256)
        [ $# -ge 2 ] || wrong_usage "$1 needs a value"
        take_option "$1" "$2"
        shift
        ;;
      *) wrong_usage "unknown option $1" ;;
    esac
    shift
  done
  [ -n "$mode" ] || mode=$([ "$(id -u)" = 0 ] && echo system || echo user)
  url=${url%/}
  case $url in
    '@URL@') url='' ;;
    '' | http://* | https://*) ;;
    *) wrong_usage "--url $url: write http://HOST[:PORT] or https://HOST[:PORT]" ;;
  esac
  case $memory_max in *[!0-9KMGT%]*) wrong_usage "--memory-max $memory_max: write 512M or 50%" ;; esac
  if [ -n "$root" ]; then
    [ -d "$root" ] || wrong_usage "--root $root is no directory"
    root=$(CDPATH='' cd -P "$root" && pwd -P)
    [ "$root" != / ] || root=''
  fi
  if [ -n "$root" ]; then
    [ "$mode" = system ] || wrong_usage '--root needs root rights'
    [ -z "$token" ] || wrong_usage "--root takes no --token: every device that is made from the \
image would be the same one. On the device: runnel-agent enroll --url URL --token TOKEN"
    start=''
  fi
  if [ -n "$archive" ]; then
    [ -n "$archive_sha256" ] || wrong_usage '--archive needs --sha256, as in checksums.txt'
    [ -z "$sql" ] || wrong_usage '--with-sql takes its archive from the control plane'
  elif [ "$VERSION" = "@""VERSION@" ]; then
    wrong_usage 'take this file from a control plane (URL/install.sh), or give --archive FILE'
  fi
}

take_option() {
  case $1 in
    --url) url=$2 ;;
    --token) token=$2 ;;
    --name) name=$2 ;;
    --label)
      case $2 in
        *[!A-Za-z0-9_./=-]* | =* | *=*=*) wrong_usage "--label $2: write KEY=VALUE" ;;
        *=*) labels="$labels --label $2" ;;
        *) wrong_usage "--label $2: write KEY=VALUE" ;;
      esac
      ;;
    --memory-max) memory_max=$2 ;;
    --root) root=$2 ;;
    --platform) platform=$2 ;;
    --archive) archive=$2 ;;
    --sha256) archive_sha256=$2 ;;
  esac
}

# Which build fits; refuses what none does.
detect_platform() {
  [ "$(uname -s)" = Linux ] || fail "this is $(uname -s); the agent is built for Linux"
  if [ -z "$platform" ]; then
    case $(uname -m) in
      x86_64 | amd64) platform=linux-x64 ;;
      aarch64 | arm64) platform=linux-arm64 ;;
      *) fail "no build for the processor $(uname -m); there are x64 and arm64" ;;
    esac
  fi
  case $platform in
    linux-x64) loader=ld-linux-x86-64.so.2 ;;
    linux-arm64) loader=ld-linux-aarch64.so.1 ;;
    *) wrong_usage "--platform $platform: write linux-x64 or linux-arm64" ;;
  esac
  for folder in lib lib64 usr/lib usr/lib64; do
    [ ! -e "$root/$folder/$loader" ] || found_loader=yes
  done
  if [ -z "${found_loader:-}" ]; then
    for file in "$root"/lib/ld-musl-*; do
      [ ! -e "$file" ] || fail 'this system has the C library musl (Alpine?); the agent needs glibc'
    done
    fail "no $loader here: the agent needs a $platform system with glibc"
  fi
  if [ -z "$root" ] && has getconf && libc=$(getconf GNU_LIBC_VERSION 2>/dev/null); then
    libc=${libc#glibc }
    lowest=$(printf '%s\n%s\n' "$libc" "$NODE_GLIBC_MIN" | sort -t. -k1,1n -k2,2n | head -n 1)
    [ "$lowest" = "$NODE_GLIBC_MIN" ] || fail "glibc $libc is too old; $NODE_GLIBC_MIN is needed"
  fi
}

set_paths() {
  if [ "$mode" = system ]; then
    user=runnel
    prefix=/opt/runnel/agent
    config=/etc/runnel
    data=/var/lib/runnel
    bin=/usr/local/bin/runnel-agent
    unit=/etc/systemd/system/runnel-agent.service
  else
    user=$(id -un 2>/dev/null) || user=$(id -u)
    base=${XDG_DATA_HOME:-$HOME/.local/share}/runnel
    prefix=$base/agent
    config=${XDG_CONFIG_HOME:-$HOME/.config}/runnel
    data=$base/data
    bin=$HOME/.local/bin/runnel-agent
    unit=${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user/runnel-agent.service
  fi
  case $prefix$config$root in
    *[!A-Za-z0-9_./+@:~-]*) fail "unusual characters in a path: $root$prefix, $config" ;;
  esac
}

download() {
  rm -f "$2"
  ca=''
  [ ! -s "$work/ca.pem" ] || ca=$work/ca.pem
  if has curl; then
    curl -fsS --connect-timeout 10 --retry 3 ${ca:+--cacert "$ca"} -o "$2" "$1"
  elif has wget && wget --version >/dev/null 2>&1; then
    wget -q --timeout=30 --tries=3 ${ca:+--ca-certificate="$ca"} -O "$2" "$1"
  elif has wget; then
    wget -q -O "$2" "$1"
  elif has busybox; then
    busybox wget -q -O "$2" "$1"
  else
    fail 'curl or wget is needed; or bring the archive along: --archive FILE --sha256 HEX'
  fi || fail "$1 could not be fetched"
}

sha256_of() {
  if has sha256sum; then
    sha256sum <"$1"
  elif has busybox; then
    busybox sha256sum <"$1"
  elif has openssl; then
    openssl dgst -sha256 -r <"$1"
  else
    fail 'sha256sum, busybox or openssl is needed'
  fi | cut -d ' ' -f 1
}

check_sha256() {
  actual=$(sha256_of "$1")
  [ "$actual" = "$2" ] || fail "$3 is not what was announced; refused
  expected SHA-256 $2
  found            $actual"
}

# Sets file and sha256 to a checked archive of this kind.
get_archive() {
  if has xz || has busybox; then compression=xz; else compression=gz; fi
  line=$(printf '%s\n' "$PACKAGES" | grep "^$1 $platform $compression ") ||
    fail "the control plane has no archive $1 for $platform"
  # shellcheck disable=SC2086 # words of a line that holds nothing else
  set -- $line
  file=$work/$4
  sha256=$6
  say "downloading $4 ($((($5 + 500000) / 1000000)) MB)"
  download "$url/packages/$4" "$file"
  check_sha256 "$file" "$sha256" "$4"
}

unpack() {
  case $1 in
    *.gz) gzip -dc "$1" ;;
    *) if has xz; then xz -dc "$1"; else busybox xz -dc "$1"; fi ;;
  esac | tar -xf - -C "$2" || fail "$1 could not be unpacked"
}

# What is there already decides what there is to do.
find_installed() {
  old=''
  [ ! -h "$root$prefix/current" ] || old=$(readlink "$root$prefix/current")
  [ -z "$old" ] || [ ! -e "$root$prefix/$old/app/node_modules/@duckdb" ] || sql=yes
  if [ -z "$root$token" ] && [ ! -e "$data/agent.yaml" ] && [ -n "$start" ]; then
    wrong_usage "this device is not enrolled yet: --token is needed"
  fi
}

check_room() {
  mkdir -p "$root$prefix"
  free=$(df -Pk "$root$prefix" | awk 'NR == 2 { print $4 }')
  [ "$free" -ge "$DISK_KIB_MIN" ] ||
    fail "$((free / 1024)) MiB free at $prefix; $((DISK_KIB_MIN / 1024)) MiB are needed"
}

# The chain from the root key that this device knows, or that its token names, to this archive.
# An agent that is here already judges the new one before anything of it is unpacked.
check_signature() {
  [ -z "$archive$root" ] || return 0
  [ -s "$work/manifest.json" ] || download "$url/packages/manifest.json" "$work/manifest.json"
  if [ -e "$data/agent.yaml" ]; then
    set -- "$1" "$2" --data "$data"
  elif [ -n "$token" ]; then
    set -- "$1" "$2" --token "$token"
  else
    return 0
  fi
  checker=$1 checked=$2
  shift 2
  "$checker" verify-package "$checked" --manifest "$work/manifest.json" "$@" >/dev/null ||
    fail 'the archive is not signed by the control plane that this device belongs to'
}

# Unpacks beside and renames: a release is there as a whole or not at all.
install_release() {
  if [ -n "$archive" ]; then
    file=$archive sha256=$archive_sha256
    check_sha256 "$file" "$sha256" "$file"
  else
    sha256=$(printf '%s\n' "$PACKAGES" | awk -v p="$platform" '$1 == "agent" && $2 == p { print $6 }')
  fi
  release=''
  for known in $sha256; do
    for folder in "$root$prefix"/*-"$(printf '%.8s' "$known")"; do
      [ ! -e "$folder/release.json" ] || release=${folder##*/}
    done
  done
  [ -z "$release" ] || return 0
  check_room
  [ -n "$archive" ] || get_archive agent
  [ -z "$old" ] || check_signature "$root$prefix/$old/bin/runnel-agent" "$file"
  rm -rf "$root$prefix/.new"
  mkdir "$root$prefix/.new"
  unpack "$file" "$root$prefix/.new"
  fresh=$root$prefix/.new
  version=$(sed -n 's/.*"version": "\([^"]*\)".*/\1/p' "$fresh/release.json")
  [ -n "$version" ] || fail "$file holds no agent"
  if [ -z "$root" ]; then
    "$fresh/bin/runnel-agent" --version >/dev/null ||
      fail 'its runtime does not run here; libstdc++6 and libgcc (on Debian: libstdc++6) are needed'
    [ -n "$old" ] || check_signature "$fresh/bin/runnel-agent" "$file"
  fi
  release=$version-$(printf '%.8s' "$sha256")
  mv "$fresh" "$root$prefix/$release"
  changed=yes
  say "unpacked $release into $prefix"
}

install_sql() {
  [ -n "$sql" ] && [ ! -e "$root$prefix/$release/app/node_modules/@duckdb" ] || return 0
  get_archive duckdb
  check_signature "$root$prefix/$release/bin/runnel-agent" "$file"
  rm -rf "$root$prefix/.new"
  mkdir "$root$prefix/.new"
  unpack "$file" "$root$prefix/.new"
  mv "$root$prefix/.new/app/node_modules/@duckdb" "$root$prefix/$release/app/node_modules/"
  rm -rf "$root$prefix/.new"
  changed=yes
  say 'added DuckDB, for the task sql'
}

passwd_has() { grep -q "^$1:" "$root/etc/$2" 2>/dev/null; }

make_user() {
  made_user=false
  [ "$mode" = system ] || return 0
  if ! passwd_has "$user" passwd; then
    shell=/usr/sbin/nologin
    if has useradd; then
      useradd --system --user-group --no-create-home --home-dir "$data" --shell "$shell" \
        ${root:+--prefix "$root"} "$user"
    elif has adduser && [ -z "$root" ]; then
      addgroup -S "$user" 2>/dev/null || true
      adduser -S -D -H -h "$data" -s "$shell" -G "$user" "$user"
    else
      fail "useradd is needed to make the user $user"
    fi
    say "made the user $user"
  elif ! grep -q '"madeUser": true' "$root$prefix/install.json" 2>/dev/null; then
    return 0
  fi
  made_user=true
}

owner_ids() { sed -n "s/^$user:[^:]*:\([0-9]*\):\([0-9]*\):.*/\1:\2/p" "$root/etc/passwd"; }

# The agent may change its data, not its programs nor its policy.
own_data() {
  [ "$mode" = system ] || return 0
  chown -R -h "$(owner_ids)" "$root$data"
}

make_folders() {
  mkdir -p "$root$config" "$root$data" "$root${bin%/*}"
  chmod 0750 "$root$data"
  if [ ! -e "$root$config/policy.yaml" ]; then
    cat >"$root$config/policy.yaml" <<'POLICY'
# What the control plane may run on this device; it wins over everything that is pushed. A key that
# is absent has its default: all sources, sinks and tasks, all hosts, paths below the data directory
# only, no commands. The agent reads it when it starts.
apiVersion: runnel/v1
kind: AgentPolicy
# hosts: [db.local, "*.plant.example"]
# paths: [/srv/measurements]
# commands: [{ run: [/usr/bin/uptime] }]
# budgets: { memory: 512MiB, disk: 2GiB }
POLICY
  fi
  if [ ! -e "$root$config/agent.env" ]; then
    say '# Secrets of jobs, NAME=VALUE: RUNNEL_SECRET_DATABASE=...' >"$root$config/agent.env"
  fi
  # Secrets are for the service manager, which reads them as root, and for the agent.
  chmod 0640 "$root$config/agent.env"
  [ "$mode" = user ] || chown "0:$(owner_ids | cut -d : -f 2)" "$root$config/agent.env"
  # Seen from outside of a tree the link leads nowhere.
  if [ ! -h "$root$data/policy.yaml" ] && [ ! -e "$root$data/policy.yaml" ]; then
    ln -s "$config/policy.yaml" "$root$data/policy.yaml"
  fi
  if [ -s "$work/ca.pem" ] && ! cmp -s "$work/ca.pem" "$root$config/ca.pem"; then
    cp "$work/ca.pem" "$root$config/ca.pem"
    chmod 0644 "$root$config/ca.pem"
  fi
}

# The command: knows its data directory, so that `runnel-agent status` is enough.
write_command() {
  cat >"$work/command" <<COMMAND
#!/bin/sh
# Written by the Runnel installer.
RUNNEL_DATA=\${RUNNEL_DATA:-$data} RUNNEL_INSTALL=$prefix/install.json
export RUNNEL_DATA RUNNEL_INSTALL
exec $prefix/current/bin/runnel-agent "\$@"
COMMAND
  put "$work/command" "$bin" 0755
}

# Replaces a file of ours only when it differs; sets put_changed.
put() {
  put_changed=''
  if ! cmp -s "$1" "$root$2"; then
    mkdir -p "$root${2%/*}"
    cp "$1" "$root$2"
    put_changed=yes
  fi
  chmod "$3" "$root$2"
}

switch_release() {
  [ "$old" != "$release" ] || return 0
  changed=yes
  point_to current "$release"
  [ -z "$old" ] || point_to previous "$old"
}

point_to() {
  rm -f "$root$prefix/$1.new"
  ln -s "$2" "$root$prefix/$1.new"
  mv -fT "$root$prefix/$1.new" "$root$prefix/$1" 2>/dev/null ||
    { rm -f "$root$prefix/$1" && mv -f "$root$prefix/$1.new" "$root$prefix/$1"; }
}

# The release before this one stays; those before it go.
remove_old_releases() {
  kept=$(readlink "$root$prefix/previous" 2>/dev/null || true)
  for folder in "$root$prefix"/*/; do
    folder=${folder%/}
    if [ -h "$folder" ] || [ ! -e "$folder/release.json" ]; then continue; fi
    case ${folder##*/} in "$release" | "$kept") ;; *) rm -rf "$folder" ;; esac
  done
}

enrol() {
  [ -n "$token" ] || return 0
  [ -n "$url" ] || wrong_usage '--token needs --url'
  ca=''
  [ ! -s "$config/ca.pem" ] || ca=$config/ca.pem
  # shellcheck disable=SC2086 # labels hold no spaces; those of --label were refused
  RUNNEL_INSTALL=$prefix/install.json "$prefix/current/bin/runnel-agent" enroll --url "$url" \
    --token "$token" --data "$data" ${name:+--name "$name"} $labels ${ca:+--ca "$ca"} ||
    fail 'the device was not enrolled; the line above says why. Run the same command again'
}

choose_service() {
  service=supervised
  if [ "$mode" = system ]; then
    if [ -d "$root/run/systemd/system" ]; then service=systemd; fi
    # A tree is not running; whether systemd will be its service manager is seen by its files.
    if [ -n "$root" ] && [ -e "$root/lib/systemd/systemd" ]; then service=systemd; fi
  elif has systemctl && systemctl --user show-environment >/dev/null 2>&1; then
    service=systemd-user
  fi
}

write_service() {
  boot=none
  if [ "$service" != supervised ]; then
    boot=systemd
    write_unit
    return 0
  fi
  write_start_script
  if [ "$mode" = system ]; then
    has cron || has crond || return 0
    [ -d "$root/etc/cron.d" ] || return 0
    say "@reboot root $prefix/start.sh" >"$work/cron"
    put "$work/cron" /etc/cron.d/runnel-agent 0644
    boot=cron.d
  elif has crontab; then
    line="@reboot $prefix/start.sh"
    crontab -l 2>/dev/null | grep -qxF "$line" ||
      { crontab -l 2>/dev/null || true; say "$line"; } | crontab - || return 0
    boot='crontab'
  fi
}

write_unit() {
  sed -e "s|@USER@|$user|; s|@PREFIX@|$prefix|; s|@DATA@|$data|; s|@CONFIG@|$config|" \
    -e "s|@MEMORY_MAX@|$memory_max|" "$root$prefix/$release/lib/runnel-agent.service" >"$work/unit"
  if [ "$service" = systemd-user ]; then
    # What needs rights that a user's own service manager does not have.
    sed -e '/^\(User\|Group\|CapabilityBoundingSet\|AmbientCapabilities\|OOMPolicy\)=/d' \
      -e '/^\(Protect\|Private\|ReadWritePaths\|RemoveIPC\)/d' \
      -e 's/multi-user.target/default.target/' "$work/unit" >"$work/unit.user"
    mv "$work/unit.user" "$work/unit"
  fi
  put "$work/unit" "$unit" 0644
  [ -z "$put_changed" ] || changed=yes
  if [ -n "$root" ]; then
    mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
    ln -sf "$unit" "$root/etc/systemd/system/multi-user.target.wants/runnel-agent.service"
  fi
}

systemctl_here() {
  if [ "$service" = systemd-user ]; then systemctl --user "$@"; else systemctl "$@"; fi
}

# Starts the supervisor as the agent's own user, detached from whoever started it.
write_start_script() {
  as=''
  if [ "$mode" = system ]; then
    if has setpriv; then
      as="setpriv --reuid=$user --regid=$user --init-groups"
    elif has runuser; then
      as="runuser -u $user --"
    else
      as="su -s /bin/sh $user --"
    fi
  fi
  cat >"$work/start" <<START
#!/bin/sh
# Written by the Runnel installer: keeps the agent running where there is no service manager.
umask 077
mkdir -p $data/.supervise
[ ! -r $config/agent.env ] || { set -a; . $config/agent.env; set +a; }
$([ "$mode" = user ] || echo "chown $user: $data/.supervise")
cd $data || exit 1
HOME=$data nohup $as $([ "$as" != "su -s /bin/sh $user --" ] && echo sh) \\
  $prefix/current/lib/supervise.sh $prefix/current/bin/runnel-agent $data $data/.supervise \\
  </dev/null >/dev/null 2>&1 &
START
  put "$work/start" "$prefix/start.sh" 0755
}

supervisor_pid() {
  pid=$(cat "$data/.supervise/supervise.pid" 2>/dev/null) || return 1
  tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -q 'supervise\.sh'
}

stop_supervised() {
  supervisor_pid || return 0
  kill -TERM "$pid"
  left=$WAIT_S
  while kill -0 "$pid" 2>/dev/null && [ "$left" -gt 0 ]; do
    sleep 1
    left=$((left - 1))
  done
  ! kill -0 "$pid" 2>/dev/null || kill -KILL "$pid"
}

start_service() {
  case $service in
    supervised)
      [ -z "$changed" ] || stop_supervised
      supervisor_pid || "$prefix/start.sh"
      ;;
    *)
      systemctl_here daemon-reload
      systemctl_here --quiet enable runnel-agent.service
      if [ -n "$changed" ]; then
        systemctl_here restart runnel-agent.service
      else
        systemctl_here start runnel-agent.service
      fi
      ;;
  esac
}

# Its exit code tells of conditions too; what counts is whether it answers.
is_running() {
  "$prefix/current/bin/runnel-agent" status --data "$data" -o json >"$work/status" 2>&1 || true
  grep -q '^ *"running": true' "$work/status"
}

is_connected() { grep -q '"server": "' "$work/status"; }

wait_for_agent() {
  left=$WAIT_S
  while [ "$left" -gt 0 ]; do
    if is_running; then
      ! is_connected || return 0
      # It works without the control plane too: that is not waited for for ever.
      [ "$left" -gt 20 ] || return 0
    fi
    sleep 1
    left=$((left - 1))
  done
  return 1
}

# A release that does not start gives way to the one before it.
go_back() {
  if [ -z "$old" ] || [ "$old" = "$release" ]; then
    fail "the agent did not start within $WAIT_S s; $(where_log)"
  fi
  point_to current "$old"
  changed=yes
  start_service
  fail "$release did not start within $WAIT_S s; $old runs again; $(where_log)"
}

where_log() {
  case $service in
    systemd) say 'see: journalctl -u runnel-agent' ;;
    systemd-user) say 'see: journalctl --user -u runnel-agent' ;;
    *) say "see: $data/.supervise/agent.log" ;;
  esac
}

# What `runnel-agent uninstall` goes by.
write_receipt() {
  cat >"$work/receipt" <<RECEIPT
{
  "v": 1,
  "mode": "$mode",
  "user": "$user",
  "madeUser": $made_user,
  "prefix": "$prefix",
  "config": "$config",
  "data": "$data",
  "bin": "$bin",
  "service": "$service",
  "unit": "$unit",
  "boot": "$boot"
}
RECEIPT
  put "$work/receipt" "$prefix/install.json" 0644
}

report() {
  say ''
  say "runnel-agent $release"
  say "  program   $prefix/current, as $bin"
  say "  data      $data (agent.yaml there)"
  say "  policy    $config/policy.yaml; secrets: $config/agent.env"
  case $service in
    systemd) say "  service   systemd, runnel-agent.service, as $user" ;;
    systemd-user) say '  service   systemd of this user, runnel-agent.service' ;;
    *) say "  service   no systemd here: a supervisor restarts it, as $user" ;;
  esac
  case $service-$boot in
    systemd-user-*)
      say "  at boot   when you sign in; without that: loginctl enable-linger $user"
      ;;
    *-systemd) say '  at boot   by systemd' ;;
    *-cron*) say '  at boot   by cron (@reboot)' ;;
    *) say "  at boot   by nothing found here: let your start-up run $prefix/start.sh" ;;
  esac
  say "  log       $(where_log)"
  say "  remove    runnel-agent uninstall"
  if [ -n "$root" ]; then
    say ''
    say 'On each device that is made from it: runnel-agent enroll --url URL --token TOKEN'
  elif [ -n "$start" ]; then
    say ''
    "$prefix/current/bin/runnel-agent" status --data "$data" || true
  fi
}

# The copy of this file that the one line made goes too.
clean_up() {
  rm -rf "$work"
  case $0 in "${TMPDIR:-/tmp}"/tmp.*) rm -f "$0" ;; esac
}

main() {
  read_options "$@"
  detect_platform
  set_paths
  work=$(mktemp -d)
  trap clean_up EXIT
  trap 'exit 130' INT TERM HUP
  [ -z "$CA_PEM" ] || [ "$CA_PEM" = "@""CA@" ] || printf '%s\n' "$CA_PEM" >"$work/ca.pem"
  changed=''
  find_installed
  [ -n "$url$archive" ] || wrong_usage '--url is needed'
  umask 022
  mkdir -p "$root$prefix"
  install_release
  install_sql
  make_user
  make_folders
  choose_service
  write_service
  write_command
  write_receipt
  switch_release
  enrol
  own_data
  if [ -n "$start" ]; then
    start_service
    wait_for_agent || go_back
  fi
  remove_old_releases
  report
  [ -n "$changed" ] || say 'Nothing had to be changed.'
}

main "$@"
