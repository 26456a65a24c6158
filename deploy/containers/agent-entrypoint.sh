#!/bin/sh
# Enrols the agent of a container at its first start, then runs it. The volume of RUNNEL_DATA is
# the device: a container that is made anew with the same volume is the same agent.
#
#   RUNNEL_URL, RUNNEL_TOKEN  the control plane and a join token; at the first start only
#   RUNNEL_NAME               its name (default: the host name of the container)
#   RUNNEL_CA                 file of the private CA of RUNNEL_URL
#   RUNNEL_MQTT_URL           default broker instead of its own, such as mqtt://mosquitto:1883
set -eu
data=${RUNNEL_DATA:-/var/lib/runnel}
if [ ! -e "$data/agent.yaml" ]; then
  if [ -z "${RUNNEL_URL:-}" ] || [ -z "${RUNNEL_TOKEN:-}" ]; then
    echo 'this agent is not enrolled yet: set RUNNEL_URL and RUNNEL_TOKEN' >&2
    exit 2
  fi
  RUNNEL_INSTALL=container runnel-agent enroll --url "$RUNNEL_URL" --token "$RUNNEL_TOKEN" \
    --data "$data" ${RUNNEL_NAME:+--name "$RUNNEL_NAME"} ${RUNNEL_CA:+--ca "$RUNNEL_CA"}
  if [ -n "${RUNNEL_MQTT_URL:-}" ]; then
    sed "s|^  embedded: .*|  url: \"$RUNNEL_MQTT_URL\"|" "$data/agent.yaml" >"$data/agent.yaml.new"
    mv "$data/agent.yaml.new" "$data/agent.yaml"
  fi
fi
exec runnel-agent run --data "$data"
