/**
 * Renders what puts several controllers behind one address: haproxy, which sends each caller to a controller that is
 * ready, and keepalived, which gives the address to a machine whose haproxy has one. Pure.
 *
 * A caller is told from others by its token and stays with one controller while that is ready: so it reads at once what it
 * has written, though each controller's memory follows the store by some milliseconds.
 */

export interface FrontController {
  readonly name: string
  /** Where it listens, e.g. `198.18.0.241:7480`. */
  readonly listen: string
}

export interface FrontPlan {
  /** The one address, e.g. `198.18.0.254:7480`. */
  readonly address: string
  /** The device that it is put on. */
  readonly device: string
  readonly controllers: readonly FrontController[]
  /** The controller beside which this front runs. */
  readonly own: string
  /** Where haproxy says on this machine alone whether it has a controller to send callers to. */
  readonly monitor: string
}

const virtualRouterId = 51
const priorityHighest = 150

export function renderFrontHaproxy({ address, controllers, monitor }: FrontPlan): string {
  return `# Written by Sluice: callers of ${address} go to a controller that is ready.
global
  maxconn 8000
  hard-stop-after 60s

defaults
  mode http
  timeout connect 1s
  timeout queue 5s
  # Callers may wait for 60 s for what they asked for, and streams of events are kept alive more often than that.
  timeout client 90s
  timeout server 90s
  retries 3
  option redispatch 1
  option http-server-close

frontend api
  bind ${address} transparent
  # What was not taken by a controller that is gone is sent to another; what may have been is for the caller to repeat.
  http-request disable-l7-retry unless METH_GET
  default_backend controllers

backend controllers
  balance hdr(Authorization)
  hash-type consistent
  retry-on conn-failure empty-response response-timeout
  option httpchk
  http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host controller
  default-server check inter 1s fastinter 250ms fall 2 rise 1 observe layer4 error-limit 1 on-error mark-down on-marked-down shutdown-sessions
${controllers.map(({ name, listen }) => `  server ${name} ${listen}`).join('\n')}

frontend monitor
  bind ${monitor}
  monitor fail if { nbsrv(controllers) lt 1 }
  monitor-uri /
`
}

export function renderFrontKeepalived(plan: FrontPlan): string {
  const index = plan.controllers.findIndex(({ name }) => name === plan.own)
  const own = plan.controllers[index]
  if (own === undefined) throw new Error(`BUG: ${plan.own} is none of the controllers`)
  const peers = plan.controllers.filter((one) => one !== own).map(({ listen }) => `    ${hostOf(listen)}`)
  return `# Written by Sluice: ${hostOf(plan.address)} is on one machine whose haproxy has a controller.
global_defs {
  router_id ${own.name}
  enable_script_security
  script_user root
  vrrp_version 3
  vrrp_garp_master_refresh 10
}

vrrp_script ready {
  script "/usr/bin/curl --silent --fail --output /dev/null --max-time 1 http://${plan.monitor}/"
  interval 1
  fall 2
  rise 1
}

vrrp_instance controllers {
  state BACKUP
  interface ${plan.device}
  virtual_router_id ${virtualRouterId}
  priority ${priorityHighest - 10 * index}
  advert_int 0.2
  nopreempt
  unicast_src_ip ${hostOf(own.listen)}
${peers.length === 0 ? '' : `  unicast_peer {\n${peers.join('\n')}\n  }\n`}  virtual_ipaddress {
    ${hostOf(plan.address)}/32 dev ${plan.device}
  }
  track_script {
    ready
  }
}
`
}

const hostOf = (address: string) => address.slice(0, address.lastIndexOf(':'))
