#!/bin/bash
# Has a load balancer write its requests down for a while, and tells which paths were asked for most, how they were answered
# and how long they took; then it is as it was. No request is lost by either change.
#
#   scripts/up && eval "$(bun sluice lab env | sed 's/^/export /')" && examples/logs/who-is-served.sh shop 30
set -euo pipefail
cd "$(dirname "$0")/../.."

name=${1:?which load balancer}
seconds=${2:-30}

sluice() { bun cli/main.ts "$@"; }

before=$(sluice lb show "$name" --json | jq --compact-output '{logging}')
put_back() { sluice lb update "$name" --from - --wait <<<"$before" >/dev/null; }
trap put_back EXIT

# The sample keeps a busy balancer within what is kept; who its clients are is nobody's business here.
sluice lb update "$name" --access-log on --log-sample "${SAMPLE:-1/1}" --log-clients none --wait >/dev/null
since=$(date --utc +%FT%TZ)
sleep "$seconds"
# What was said last is on its way for a moment.
sleep 2

echo 'requests  status  mean ms  path'
sluice lb logs "$name" --since "$since" --kind access --json |
  jq --slurp --raw-output '
    [.[].request | select(. != null)] | group_by([.status, .path]) | sort_by(-length) | .[:10][] |
    [length, .[0].status, (map(.milliseconds.total // 0) | add / length | round), .[0].path] | map(tostring) | join("\t")' |
  awk -F'\t' '{ printf "%8s  %6s  %7s  %s\n", $1, $2, $3, $4 }'
