# Keeps a lab host's agent running, as systemd does on bare metal: starts it again whenever it ends.
#   supervise-agent.sh LOG COMMAND…
log=$1
shift
echo $$ > /run/sluice-lab-supervisor.pid
# The weight that its unit gives it: where the kernel groups by sessions, each daemon of each instance has as much as the agent.
{ echo -10 > /proc/self/autogroup; } 2>/dev/null || :
while :; do
  "$@" >> "$log" 2>&1 < /dev/null &
  echo $! > /run/sluice-lab-agent.pid
  wait
  sleep 0.2
done
