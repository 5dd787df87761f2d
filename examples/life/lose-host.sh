#!/bin/bash
# Pulls the plug of the lab's host that has a load balancer's first instance, waits for its replacement on another host, puts
# the plug back, waits until the old instance has its slot again, and tells what happened from the events.
#
#   scripts/up && eval "$(bun sluice lab env | sed 's/^/export /')" && examples/life/lose-host.sh shop
set -euo pipefail
cd "$(dirname "$0")/../.."

name=${1:?which load balancer}
wait_seconds=${WAIT_SECONDS:-90}

sluice() { bun cli/main.ts "$@"; }
show() { sluice lb show "$name" --json; }
say() { echo "$(date +%T)  $*"; }

# Waits until a jq condition holds of the balancer.
wait_for() {
  local what=$1 condition=$2 deadline=$((SECONDS + wait_seconds))
  until show | jq --exit-status --arg old "$old" --arg host "$host" "$condition" >/dev/null; do
    if ((SECONDS > deadline)); then
      echo "waited $wait_seconds s in vain until $what:" >&2
      show | jq '.instances[] | {slot, host, status, conditions}' >&2
      exit 1
    fi
    sleep 0.5
  done
  say "$what"
}

first=$(show | jq '.instances[] | select(.slot == 1)')
old=$(jq --raw-output .id <<<"$first")
host=$(jq --raw-output .host <<<"$first")
last_event=$(sluice events --limit 1 | jq --raw-output .id)

say "the plug of $host is pulled; slot 1 is at home there"
sluice lab kill "$host" >/dev/null
wait_for 'another host serves slot 1' \
  'any(.instances[]; .slot == 1 and .host != $host and .status == "active") and any(.instances[]; .id == $old and .status == "replaced")'
say "the plug of $host is put back"
sluice lab boot "$host" >/dev/null
wait_for 'the old instance has its slot again, and the other one is gone' \
  '[.instances[] | select(.slot == 1)] | length == 1 and .[0].id == $old and .[0].status == "active"'

sluice events --after "$last_event" --limit 1000 --type 'load-balancer.instance.*,host.*' |
  jq --raw-output '[.time[11:19], .type, .data.slot // "", .data.to // "", .data.reason // ""] | map(tostring) | join("  ")'
