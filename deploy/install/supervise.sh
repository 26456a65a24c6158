#!/bin/sh
# Keeps the agent running where there is no service manager: starts it again when it ended, after
# a pause that doubles from 1 s to 60 s and begins anew when it had run for a minute. SIGTERM and
# SIGINT are passed on; then this ends too. Its output goes into agent.log, two files of 5 MiB at
# most.
#
#   supervise.sh RUNNEL-AGENT DATA-DIR RUN-DIR
set -u
agent=$1
data=$2
run=$3
pid_file=$run/supervise.pid
log=$run/agent.log
log_bytes_max=5242880
pause_max=60

# One line at a time, so that a full file is put aside between two lines.
keep_log() {
  bytes=$(wc -c <"$log" 2>/dev/null || echo 0)
  while IFS= read -r line; do
    if [ "$bytes" -gt "$log_bytes_max" ]; then
      mv -f "$log" "$log.1"
      bytes=0
    fi
    printf '%s\n' "$line" >>"$log"
    bytes=$((bytes + ${#line} + 1))
  done
}

say() {
  printf 'supervise: %s\n' "$1" >&3
}

# A pid file of a process that is gone, or of another program, means nothing.
if [ -f "$pid_file" ] && old=$(cat "$pid_file") && kill -0 "$old" 2>/dev/null &&
  tr '\0' ' ' 2>/dev/null <"/proc/$old/cmdline" | grep -q 'supervise\.sh'; then
  echo "supervise: process $old already keeps the agent running" >&2
  exit 0
fi
mkdir -p "$run"
umask 077
echo $$ >"$pid_file"
fifo=$run/log.fifo
rm -f "$fifo"
mkfifo "$fifo"
# Open for both: it ends neither between two agents nor before the first.
exec 3<>"$fifo"
# The log outlives the signal, so that the agent's last words are in it.
(trap '' TERM INT HUP; keep_log) <"$fifo" 3>&- >/dev/null 2>&1 &
logger=$!

child=
ending=
# shellcheck disable=SC2317 # the trap calls it
end() {
  ending=yes
  [ -z "$child" ] || kill -TERM "$child" 2>/dev/null
}
trap end TERM INT
trap '' HUP

pause=1
while [ -z "$ending" ]; do
  began=$(date +%s)
  "$agent" run --data "$data" >&3 2>&1 </dev/null &
  child=$!
  [ -z "$ending" ] || kill -TERM "$child"
  wait "$child"
  code=$?
  # A signal ends `wait` before the agent has ended.
  while kill -0 "$child" 2>/dev/null; do
    wait "$child"
    code=$?
  done
  child=
  [ -n "$ending" ] && break
  [ $(($(date +%s) - began)) -ge 60 ] && pause=1
  say "the agent ended with exit code $code; starting it again in $pause s"
  sleep "$pause" &
  child=$!
  wait "$child"
  child=
  pause=$((pause * 2))
  [ "$pause" -gt "$pause_max" ] && pause=$pause_max
done
say 'ended'
exec 3>&-
wait "$logger"
rm -f "$pid_file" "$fifo"
exit 0
