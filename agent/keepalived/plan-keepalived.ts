/**
 * Decides what one instance's keepalived needs: a start, a reload, or to be fenced first, because a keepalived that died or
 * hangs leaves its VIPs on a host that no longer answers for them. Pure.
 */

import { createHash } from 'node:crypto'
import { firstPhase, type KeepalivedPhase, renderKeepalivedConfig } from '../../templates/keepalived-config.ts'
import type { InstanceInstructions } from '../contract/host-instructions.ts'
import { instanceUplinkDevice } from '../kernel/names.ts'
import type { Operation } from '../operations/operation.ts'
import { checkKeepalivedConfig, type KeepalivedFiles, startKeepalived } from './keepalived-files.ts'

export interface ObservedKeepalived {
  /**
   * `broken`: one of its two processes is gone. `hanging`: it lives and does nothing.
   */
  readonly status: 'stopped' | 'broken' | 'hanging' | 'running'
  /** Since its start; 0 while it doesn't run. */
  readonly ageSeconds: number
  /** The digest of the config that it has read; undefined before its first start. */
  readonly loaded: string | undefined
  readonly heldVips: readonly string[]
}

export interface DesiredKeepalived {
  readonly instance: InstanceInstructions
  readonly texts: Readonly<Record<KeepalivedPhase, RenderedKeepalivedConfig>>
  readonly files: KeepalivedFiles
}

export interface RenderedKeepalivedConfig {
  readonly text: string
  readonly digest: string
}

/** Both texts of an instance, each with its digest. */
export function renderKeepalivedTexts(
  instance: InstanceInstructions,
  { fault }: Pick<KeepalivedFiles, 'fault'>,
): Record<KeepalivedPhase, RenderedKeepalivedConfig> {
  const render = (phase: KeepalivedPhase) => {
    const text = renderKeepalivedConfig(instance, phase, { uplinkDevice: instanceUplinkDevice, faultFile: fault })
    return { text, digest: createHash('sha256').update(text).digest('hex').slice(0, 16) }
  }
  return { starting: render('starting'), steady: render('steady') }
}

/**
 * How long an instance serves its own VIPs alone before it backs its neighbours up: time enough for these to start on
 * their hosts, where the same order has come in, and for an election.
 */
const startingSeconds = ({ advertIntervalSeconds }: InstanceInstructions) => Math.max(1, 2 * advertIntervalSeconds)

/** `mayChange`: false where others start or reload first; a fence never waits. */
export function planKeepalived(
  desired: DesiredKeepalived,
  observed: ObservedKeepalived,
  mayChange = true,
): Operation[] {
  const change = (plan: typeof planStart) => (mayChange ? plan(desired, observed) : [])
  // keepalived does not run without anything to keep.
  if (desired.instance.vips.length === 0) return observed.status === 'stopped' ? [] : [stopKeepalived(desired.instance)]
  switch (observed.status) {
    case 'stopped':
      // Before its first start there is nothing to be fenced.
      return observed.loaded === undefined && observed.heldVips.length === 0
        ? change(planStart)
        : [...planFence(desired.instance), ...change(planStart)]
    case 'broken':
    case 'hanging':
      return [...planFence(desired.instance), ...change(planStart)]
    case 'running':
      return change(planReload)
    default:
      return observed.status satisfies never
  }
}

const stopKeepalived = ({ id }: Pick<InstanceInstructions, 'id'>): Operation => ({
  kind: 'stopDaemon',
  objectId: id,
  daemon: 'keepalived',
  signal: 'SIGTERM',
  graceMilliseconds: farewellMilliseconds,
})

/** keepalived gives its VIPs up at once, and stays for another second. */
const farewellMilliseconds = 1500

/** VIPs first: whoever else has them is the only one then, whatever becomes of the processes. */
export function planFence(instance: Pick<InstanceInstructions, 'id' | 'vips'>): Operation[] {
  return [
    ...withdrawVips(instance),
    { kind: 'stopDaemon', objectId: instance.id, daemon: 'keepalived', signal: 'SIGKILL', graceMilliseconds: 0 },
  ]
}

/**
 * keepalived sees it, gives the VIP up, and takes part in the next election like everybody; whoever wins that announces
 * itself to the neighbours.
 */
export function withdrawVips({ id, vips }: Pick<InstanceInstructions, 'id' | 'vips'>): Operation[] {
  return vips.map(({ address }) => ({
    kind: 'withdrawAddress',
    namespace: id,
    device: instanceUplinkDevice,
    address,
  }))
}

function planStart({ instance, texts, files }: DesiredKeepalived, { loaded }: ObservedKeepalived): Operation[] {
  const { text, digest } = texts[firstPhase(instance)]
  return [
    // What they say is of processes that are no more.
    { kind: 'removeFile', path: files.parentPid },
    { kind: 'removeFile', path: files.childPid },
    { kind: 'writeFile', path: files.config, content: text },
    { kind: 'writeFile', path: files.loaded, content: digest },
    startKeepalived(instance.id, files),
    // At the first start nothing is at stake; at any other a report has to say why the last one failed, if it did.
    ...(loaded === undefined ? [] : [checkKeepalivedConfig(instance.id, files.config)]),
  ]
}

function planReload(
  { instance, texts, files }: DesiredKeepalived,
  { ageSeconds, loaded }: ObservedKeepalived,
): Operation[] {
  const { text, digest } = texts[ageSeconds < startingSeconds(instance) ? firstPhase(instance) : 'steady']
  if (loaded === digest) return []
  return [
    { kind: 'writeFile', path: files.candidate, content: text },
    checkKeepalivedConfig(instance.id, files.candidate),
    { kind: 'renameFile', from: files.candidate, to: files.config },
    { kind: 'signalDaemon', objectId: instance.id, daemon: 'keepalived', signal: 'SIGHUP' },
    { kind: 'writeFile', path: files.loaded, content: digest },
  ]
}
