#!/bin/sh
# Runs the agent beside this file with the runtime beside it, however this file was reached:
# links are followed, so that `current` can point to another release while this one runs.
set -eu
self=$0
while [ -h "$self" ]; do
  target=$(readlink "$self")
  case $target in
    /*) self=$target ;;
    *) self=$(dirname "$self")/$target ;;
  esac
done
release=$(CDPATH='' cd -P "$(dirname "$self")/.." && pwd -P)
exec "$release/node/bin/node" "$release/app/dist/runnel-agent.js" "$@"
