#!/bin/sh
# Writes the configuration of the NATS server from the keys of the control plane, which are made
# when there are none; and again at every start, so that revocations of meanwhile are in it.
#
#   write-nats-config.sh DATA-DIR NATS-DIR ACCOUNTS-DIR-THERE
set -eu
runnel-control nats-config --data "$1" --listen 0.0.0.0:4222 --dir "$3" >"$2/nats.conf.new"
mv "$2/nats.conf.new" "$2/nats.conf"
