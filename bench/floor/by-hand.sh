#!/bin/bash
# The data path of a load balancer by hand: what it takes with nothing of ours in it is the floor that ours is measured against.
# Three hosts, a router and a client made of namespaces, an uplink and an underlay, one network over VXLAN, and a web machine on each
# host are built once. Then balancers of two instances are built and taken away, one after another.
#   by-hand.sh [TIMES]    builds a balancer TIMES times (default 5), prints how long each took until its first VIP answered 200
#   by-hand.sh serve      obeys the lines on its standard input, and answers each with one line (see `serve`)
# Everything is in namespaces that die with their first processes; nothing is made in the machine's own. Needs root, iproute2,
# haproxy, keepalived, curl, and python3 unless WEB_COMMAND is given.
set -eu

# The settings of keepalived and haproxy that the measured side has, too.
advert_seconds=${ADVERT_SECONDS:-0.05}
# An interval for the start alone, in which each instance knows no VIP but its own; empty: it starts as it stays.
start_advert_seconds=${START_ADVERT_SECONDS:-}
home_priority=${HOME_PRIORITY:-250}
backup_priority=${BACKUP_PRIORITY:-200}
preempt_delay_seconds=${PREEMPT_DELAY_SECONDS:-5}
realtime_priority=${REALTIME_PRIORITY:-0}
threads=${THREADS:-2}
# Servers of each balancer, in turns on the web machines of the hosts.
members=${MEMBERS:-3}
# How a web machine serves on port 80; it runs with the machine's name as its first argument.
web_command=${WEB_COMMAND:-}
# Processes outlive nothing: the hosts' first processes end by themselves after this time, whatever becomes of this script.
lifetime_seconds=${LIFETIME_SECONDS:-14400}

as_realtime=()
if [ "$realtime_priority" -gt 0 ]; then as_realtime=(chrt --rr "$realtime_priority"); fi

work=$(mktemp -d)
hosts="1 2 3"
declare -A first_process parent

finish() {
  for name in "${!first_process[@]}"; do kill -9 "${first_process[$name]}" 2>/dev/null || true; done
  for name in "${!parent[@]}"; do wait "${parent[$name]}" 2>/dev/null || true; done
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

on() { local name=$1; shift; nsenter -t "${first_process[$name]}" -n -m -p -u "$@"; }

# A machine made of namespaces: when its PID 1 dies, all its processes, links and mounts are gone.
boot() {
  local name=$1 ready="$work/$1.pid" pid
  unshare --net --mount --pid --uts --fork --kill-child sh -c '
    read -r pid rest < /proc/self/stat
    mount --make-rprivate / && mount -t proc proc /proc && mount -t tmpfs none /run && mkdir /run/netns
    hostname "$1"; ip link set lo up; echo "$pid" > "$2.new"; mv "$2.new" "$2"; exec sleep "$3"' boot "$name" "$ready" "$lifetime_seconds" \
    < /dev/null > /dev/null 2>&1 &
  parent[$name]=$!
  for _ in $(seq 400); do [ -s "$ready" ] && break; sleep 0.005; done
  read -r pid < "$ready"
  first_process[$name]=$pid
}

build_world() {
  local host other
  boot router; boot client
  for host in $hosts; do boot "host-$host"; done
  on router sysctl -qe -w net.ipv4.ip_forward=1
  for host in router host-1 host-2 host-3; do on "$host" sysctl -qe -w net.bridge.bridge-nf-call-iptables=0; done
  {
    echo "link add uplink type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
    echo "link add underlay type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
    echo "address add 198.18.32.1/20 dev uplink"
    echo "link set uplink up"
    echo "link set underlay up"
    echo "link add clients type veth peer name eth0 netns ${first_process[client]}"
    echo "address add 198.18.48.1/24 dev clients"
    echo "link set clients up"
    for host in $hosts; do
      echo "link add up-$host type veth peer name uplink0 netns ${first_process[host-$host]}"
      echo "link set up-$host master uplink up"
      echo "link add under-$host type veth peer name underlay0 netns ${first_process[host-$host]}"
      echo "link set under-$host master underlay up"
    done
  } | nsenter -t "${first_process[router]}" -n ip -batch - # Its own view of processes would not know the others' ids.
  on client ip -batch - <<B
address add 198.18.48.2/24 dev eth0
link set eth0 up
route add default via 198.18.48.1
B
  for host in $hosts; do
    on "host-$host" ip -batch - <<B
link set uplink0 up
address add 198.18.0.$host/24 dev underlay0
link set underlay0 up
link add br100 type bridge stp_state 0 forward_delay 0 mcast_snooping 0
link set br100 up
link add vx100 type vxlan id 100 local 198.18.0.$host dstport 4789 dev underlay0
link set vx100 mtu 1400 master br100 up
netns add machine
link add machine type veth peer name eth0 netns machine
link set machine master br100 up
B
    for other in $hosts; do
      [ "$other" = "$host" ] || echo "fdb append 00:00:00:00:00:00 dev vx100 dst 198.18.0.$other"
    done | on "host-$host" bridge -batch -
    on "host-$host" ip -n machine -batch - <<B
link set lo up
link set eth0 mtu 1400 up
address add $(machine_address "$host")/22 dev eth0
B
    serve_web "$host"
  done
  for host in $hosts; do
    for _ in $(seq 1000); do
      on "host-$host" nsenter --net=/run/netns/machine curl -s -m 1 -o /dev/null -f http://127.0.0.1/ && break
      sleep 0.01
    done
  done
}

# In a session of its own, as a service has it: the kernel shares the processors out by sessions (sched_autogroup_enabled).
serve_web() {
  if [ -n "$web_command" ]; then
    # The command is this script's own parameter, to be split into its words.
    # shellcheck disable=SC2086
    on "host-$1" setsid nsenter --net=/run/netns/machine $web_command "machine-$1" < /dev/null > /dev/null 2>&1 &
    return
  fi
  on "host-$1" setsid nsenter --net=/run/netns/machine python3 -c "
import http.server
class Web(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        body = b'machine-$1\n'
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(('', 80), Web).serve_forever()" < /dev/null > /dev/null 2>&1 &
}

# Balancer N has the slots 1 and 2; the instance of each is on one host and backs up the other's VIP.
number() { echo $((($1 - 1) * 2 + $2)); }
vip() { local n; n=$(number "$1" "$2"); echo "198.18.$((40 + n / 250)).$((1 + n % 250))"; }
uplink_address() { local n; n=$(number "$1" "$2"); echo "198.18.$((36 + n / 250)).$((1 + n % 250))"; }
network_address() { local n; n=$(number "$1" "$2"); echo "198.18.$((17 + n / 250)).$((1 + n % 250))"; }
machine_address() { echo "198.18.16.1$1"; }
host_of() { echo $((($1 + $2 - 2) % 3 + 1)); }

write_haproxy_config() {
  local balancer=$1 slot=$2 host
  cat <<C
global
  user haproxy
  group haproxy
  stats socket /run/haproxy-$balancer.sock mode 600 level admin expose-fd listeners
  stats timeout 20d
  hard-stop-after 60s
  fd-hard-limit 20000
  nbthread $threads
  log ring@events local0 notice
ring events
  format rfc5424
  maxlen 1200
  size 65536
defaults
  mode http
  timeout connect 2000ms
  timeout client 30000ms
  timeout server 30000ms
  timeout check 5000ms
  retries 3
  option redispatch 1
  timeout http-request 10s
  timeout http-keep-alive 30000ms
  timeout tunnel 1h
  option idle-close-on-response
  retry-on conn-failure empty-response response-timeout
frontend web
  bind $(vip "$balancer" 1):80
  bind $(vip "$balancer" 2):80
  default_backend machines
backend machines
  log global
  balance roundrobin
  option forwardfor
  http-request disable-l7-retry unless { method GET HEAD OPTIONS TRACE PUT DELETE }
  option httpchk
  http-check send meth GET uri / ver HTTP/1.1 hdr Host sluice
  http-check expect status 200-399
  default-server inter 5000ms fastinter 1250ms downinter 5000ms fall 2 rise 2 weight 1 check observe layer4 error-limit 1 on-error mark-down on-marked-down shutdown-sessions
$(for member in $(seq "$members"); do echo "  server member-$member $(machine_address $(((member - 1) % 3 + 1))):80"; done)
C
}

# For the slots that are named after the interval.
write_keepalived_config() {
  local balancer=$1 slot=$2 interval=$3 other=$((3 - $2)) vip_slot
  shift 3
  cat <<C
global_defs {
  router_id by-hand-$balancer-$slot
  enable_script_security
  max_auto_priority -1
  vrrp_version 3
  vrrp_garp_master_delay 1
  vrrp_garp_master_repeat 2
  vrrp_garp_master_refresh 10
  vrrp_higher_prio_send_advert true
  vrrp_no_swap
}
track_file haproxy {
  file /run/haproxy-$balancer.fault
  weight 0
}
C
  for vip_slot in "$@"; do
    cat <<C
vrrp_instance vip_$vip_slot {
  state BACKUP
  interface uplink
  virtual_router_id $vip_slot
  priority $([ "$vip_slot" = "$slot" ] && echo "$home_priority" || echo "$backup_priority")
  advert_int $interval
  preempt_delay $preempt_delay_seconds
  track_file {
    haproxy
  }
  unicast_src_ip $(uplink_address "$balancer" "$slot")
  unicast_peer {
    $(uplink_address "$balancer" "$other")
  }
  virtual_ipaddress {
    $(vip "$balancer" "$vip_slot")/20 dev uplink
  }
}
C
  done
}

create() {
  local balancer=$1 slot host
  for slot in 1 2; do
    host=$(host_of "$balancer" "$slot")
    on "host-$host" ip -batch - <<B
netns add lb$balancer
link add link uplink0 name uplink netns lb$balancer type macvlan mode bridge
link add lan$balancer type veth peer name lan netns lb$balancer
link set lan$balancer mtu 1400 master br100 up
B
    on "host-$host" ip -n "lb$balancer" -batch - <<B
link set lo up
link set uplink up
link set lan mtu 1400 up
address add $(uplink_address "$balancer" "$slot")/20 dev uplink
address add $(network_address "$balancer" "$slot")/32 dev lan
route add 198.18.16.0/22 dev lan src $(network_address "$balancer" "$slot")
route add default via 198.18.32.1
B
    on "host-$host" nsenter "--net=/run/netns/lb$balancer" sysctl -qw net.ipv4.ip_nonlocal_bind=1
    write_haproxy_config "$balancer" "$slot" > "$work/haproxy-$balancer-$slot.cfg"
    if [ -n "$start_advert_seconds" ]; then
      write_keepalived_config "$balancer" "$slot" "$start_advert_seconds" "$slot"
    else
      write_keepalived_config "$balancer" "$slot" "$advert_seconds" 1 2
    fi > "$work/keepalived-$balancer-$slot.conf"
    on "host-$host" nsenter "--net=/run/netns/lb$balancer" haproxy -W -D -f "$work/haproxy-$balancer-$slot.cfg" \
      -p "/run/haproxy-$balancer.pid" < /dev/null > /dev/null 2>&1
    on "host-$host" sh -c 'echo 0 > "/run/haproxy-$1.fault"' fault "$balancer"
    on "host-$host" nsenter "--net=/run/netns/lb$balancer" "${as_realtime[@]}" keepalived -P -f "$work/keepalived-$balancer-$slot.conf" \
      -p "/run/keepalived-$balancer.pid" -r "/run/vrrp-$balancer.pid" < /dev/null > /dev/null 2>&1
  done
}

# From the settings of the start to those that stay.
settle() {
  local balancer=$1 slot
  [ -n "$start_advert_seconds" ] || return 0
  for slot in 1 2; do
    write_keepalived_config "$balancer" "$slot" "$advert_seconds" 1 2 > "$work/keepalived-$balancer-$slot.conf"
    on "host-$(host_of "$balancer" "$slot")" sh -c 'kill -HUP "$(cat "/run/keepalived-$1.pid")"' settle "$balancer"
  done
}

# SIGKILL, and keepalived's parent first, since each would start the other again: nothing has to be handed over any more.
delete() {
  local balancer=$1 slot host
  for slot in 1 2; do
    host=$(host_of "$balancer" "$slot")
    on "host-$host" sh -c '
      for file in keepalived vrrp haproxy; do
        [ -s "/run/$file-$1.pid" ] || continue
        pids=$(cat "/run/$file-$1.pid"); workers=$(pgrep -P "${pids%%
*}" || true)
        kill -9 $pids $workers 2>/dev/null || true
        rm -f "/run/$file-$1.pid"
      done
      ip link delete "lan$1"; ip netns delete "lb$1"' delete "$balancer"
  done
}

# The link of the host that is at home in slot 1 of balancer 1, at the switch's side.
uplink_of_home() { on router ip link set "up-$(host_of 1 1)" "$1"; on router ip link set "under-$(host_of 1 1)" "$1"; }

# Each answer names what was done and the time (seconds since 1970) at which its work began.
serve() {
  local verb argument begun
  echo "ready ${first_process[client]}"
  while read -r verb argument; do
    begun=$EPOCHREALTIME
    case $verb in
      create) create "$argument" ;;
      settle) settle "$argument" ;;
      # Whether the next balancers have a start of their own.
      start) start_advert_seconds=$argument ;;
      delete) delete "$argument" ;;
      vip) echo "vip $begun $(vip "$argument" 1) $(vip "$argument" 2)"; continue ;;
      cut) uplink_of_home down ;;
      heal) uplink_of_home up ;;
      *) echo "unknown $begun $verb"; continue ;;
    esac
    echo "$verb $begun"
  done
}

build_world
if [ "${1:-}" = serve ]; then
  serve
  exit 0
fi
for round in $(seq "${1:-5}"); do
  begun=$(date +%s%N)
  create 1
  for _ in $(seq 2000); do on client curl -s -m 0.2 -o /dev/null -f "http://$(vip 1 1)/" && break; sleep 0.005; done
  echo "round $round: $((($(date +%s%N) - begun) / 1000000)) ms"
  delete 1
done
