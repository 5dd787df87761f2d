/**
 * Renders the keepalived config of one instance: VRRP version 3 to known peers, one group a VIP. Pure. The settings are
 * those under which no VIP moved without need in the experiments on which the design rests.
 */

import type { InstanceInstructions, VipInstructions } from '../agent/contract/host-instructions.ts'

export interface KeepalivedPlace {
  /** The device that VIPs are put on. */
  readonly uplinkDevice: string
  /** Holds `0` while haproxy serves; anything else hands all VIPs over. */
  readonly faultFile: string
}

/**
 * `starting`: only the VIPs whose home this is, after a shorter wait for somebody who has them already. So a new
 * balancer answers sooner, and no VIP starts at a neighbour that would have to give it back. `steady`: all of them.
 */
export type KeepalivedPhase = 'starting' | 'steady'

export type KeepalivedInstance = Pick<
  InstanceInstructions,
  'id' | 'uplink' | 'vips' | 'advertIntervalSeconds' | 'preemptDelaySeconds' | 'takesOver'
>

/** An instance without a VIP of its own has nothing to hurry for; one that takes it over waits for its own haproxy alone. */
export const firstPhase = ({ vips, takesOver }: Pick<KeepalivedInstance, 'vips' | 'takesOver'>): KeepalivedPhase =>
  takesOver !== true && vips.some(({ home }) => home) ? 'starting' : 'steady'

export function renderKeepalivedConfig(
  instance: KeepalivedInstance,
  phase: KeepalivedPhase,
  place: KeepalivedPlace,
): string {
  const vips = phase === 'starting' ? instance.vips.filter(({ home }) => home) : instance.vips
  return [renderGlobal(instance), renderTrackFile(place), ...vips.map((vip) => renderVip(instance, vip, phase, place))]
    .map((rows) => `${rows.join('\n')}\n`)
    .join('\n')
}

/**
 * No `vrrp_rt_priority`: with it a reload sets the limit of realtime processor time to nothing, and the kernel kills the
 * process within the second (2.2.7). Who starts keepalived gives it the priority instead.
 */
function renderGlobal({ id }: KeepalivedInstance): string[] {
  return [
    'global_defs {',
    `  router_id ${id}`,
    '  enable_script_security',
    '  max_auto_priority -1',
    '  vrrp_version 3',
    '  vrrp_garp_master_delay 1',
    '  vrrp_garp_master_repeat 2',
    '  vrrp_garp_master_refresh 10',
    '  vrrp_higher_prio_send_advert true',
    '  vrrp_no_swap',
    '}',
  ]
}

const trackedFile = 'haproxy'

/** A weight of zero makes it a fault instead of a lower priority, which hands over within one advertisement. */
function renderTrackFile({ faultFile }: KeepalivedPlace): string[] {
  return [`track_file ${trackedFile} {`, `  file ${faultFile}`, '  weight 0', '}']
}

function renderVip(
  instance: KeepalivedInstance,
  vip: VipInstructions,
  phase: KeepalivedPhase,
  { uplinkDevice }: KeepalivedPlace,
): string[] {
  return [
    `vrrp_instance vip_${vip.slot} {`,
    '  state BACKUP',
    `  interface ${uplinkDevice}`,
    `  virtual_router_id ${vip.virtualRouterId}`,
    `  priority ${vip.priority}`,
    `  advert_int ${advertInterval(instance.advertIntervalSeconds, phase)}`,
    `  ${renderPreemption(instance.preemptDelaySeconds, phase)}`,
    `  track_file {\n    ${trackedFile}\n  }`,
    `  unicast_src_ip ${instance.uplink.address}`,
    ['  unicast_peer {', ...listPeers(vip).map((address) => `    ${address}`), '  }'].join('\n'),
    `  virtual_ipaddress {\n    ${vip.address}/${vip.prefixLength} dev ${uplinkDevice}\n  }`,
    '}',
  ]
}

/**
 * Without a peer keepalived would speak by multicast, and to other balancers that use the same virtual router id. So an
 * instance that is alone speaks to itself.
 */
function listPeers({ peerAddresses }: VipInstructions): readonly string[] {
  return peerAddresses.length === 0 ? ['127.0.0.1'] : peerAddresses
}

/** keepalived counts in hundredths of a second. */
const intervalStepSeconds = 0.01

/** Three of a start's intervals are to be 1.2 of those at which a present master speaks: enough to hear of it. */
const startingShare = 0.4

/** A start waits for three of its own intervals, so with shorter ones the first answer comes sooner. */
function advertInterval(seconds: number, phase: KeepalivedPhase): string {
  const steps = Math.max(1, Math.round(seconds / intervalStepSeconds))
  return ((phase === 'starting' ? Math.ceil(steps * startingShare) : steps) * intervalStepSeconds).toFixed(2)
}

/** keepalived knows no longer delay. */
const preemptDelayMaximumSeconds = 1000

/**
 * How a VIP comes home that a neighbour has: after the delay, at once where it is zero, never of itself where it is
 * longer than keepalived can wait. While it starts an instance never takes one away, since its haproxy starts as well.
 */
function renderPreemption(delaySeconds: number, phase: KeepalivedPhase): string {
  if (delaySeconds > preemptDelayMaximumSeconds) return 'nopreempt'
  return `preempt_delay ${phase === 'starting' ? Math.max(startDelaySeconds, delaySeconds) : delaySeconds}`
}

const startDelaySeconds = 5
