/**
 * Measures what runs in an instance's namespace, from the outside: the kernel shows each process's devices and sockets, so
 * that nobody has to enter it and nothing is started. Reads /proc and keepalived's log only.
 */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { instanceName, ownPlugins } from '../contract/point-names.ts'
import { isAlive, readCpuSeconds, readHeldAddresses, readText } from '../health/process-facts.ts'
import { instanceNetworkDevice, instanceUplinkDevice } from '../kernel/names.ts'
import type { WorkerFacts } from './haproxy-measures.ts'
import { parseConnectionTracking, parseDevices, parseResidentBytes, parseSockets } from './kernel-tables.ts'
import { makeMeasure } from './make-measure.ts'
import type { Measure, MeasuredInstance } from './measured-instance.ts'

export interface InstanceMeter {
  measure(instance: MeasuredInstance): Measure[]
  /** Only these are still there. */
  keep(instanceIds: ReadonlySet<string>): void
}

/** A log that is longer when it is first seen was written before anybody counted. */
const oldLogBytes = 64 * 1024
/** Read at a time: a log that grows by more is read on at the next tick. */
const logBytesMaximum = 64 * 1024

interface LogPlace {
  inode: number
  offsetBytes: number
  transitions: number
}

export function createInstanceMeter(): InstanceMeter {
  const logs = new Map<string, LogPlace>()
  return {
    measure(instance) {
      const { ids, haproxyPid, keepalivedPid } = instance
      const log = logs.get(ids.instanceId) ?? { inode: 0, offsetBytes: 0, transitions: 0 }
      logs.set(ids.instanceId, log)
      readOn(instance.keepalivedLog, log)
      const witness = [haproxyPid, keepalivedPid].find((pid) => pid !== 0 && isAlive(pid))
      const pluginInstance = instanceName(ids)
      const held = witness === undefined ? [] : readHeldAddresses(witness, instance.vips)
      const isRunning = keepalivedPid !== 0 && isAlive(keepalivedPid)
      return [
        makeMeasure({ plugin: ownPlugins.keepalived, pluginInstance }, 'keepalived_process', {
          running: isRunning ? 1 : 0,
          vips: instance.vips.length,
          held_vips: held.length,
          transitions: log.transitions,
          cpu: isRunning ? readSpeakerCpu(instance.keepalivedChildPidFile) : Number.NaN,
        }),
        ...(witness === undefined ? [] : measureNamespace(witness, pluginInstance)),
      ]
    },
    keep(instanceIds) {
      for (const id of [...logs.keys()]) if (!instanceIds.has(id)) logs.delete(id)
    },
  }
}

/** Its parent only watches it. */
function readSpeakerCpu(pidFile: string): number {
  const pid = Number.parseInt(readText(pidFile) ?? '', 10)
  return Number.isInteger(pid) ? Math.round(1e6 * (readCpuSeconds(pid) ?? Number.NaN)) : Number.NaN
}

/** By any process in it. */
function measureNamespace(pid: number, pluginInstance: string): Measure[] {
  const name = { plugin: ownPlugins.instance, pluginInstance }
  const devices = parseDevices(readText(`/proc/${pid}/net/dev`) ?? '')
  const sockets = readText(`/proc/${pid}/net/sockstat`)
  const tracking = readText(`/proc/${pid}/net/stat/nf_conntrack`)
  return [
    ...[instanceUplinkDevice, instanceNetworkDevice].flatMap((device) => {
      const counts = devices.get(device)
      return counts === undefined ? [] : [makeMeasure({ ...name, typeInstance: device }, 'device', { ...counts })]
    }),
    ...(sockets === undefined ? [] : [makeMeasure(name, 'sockets', parseSockets(sockets))]),
    ...(tracking === undefined ? [] : [makeMeasure(name, 'connection_tracking', parseConnectionTracking(tracking))]),
  ]
}

export const readWorkerFacts = (pid: number): WorkerFacts => ({
  cpuSeconds: readCpuSeconds(pid) ?? Number.NaN,
  residentBytes: parseResidentBytes(readText(`/proc/${pid}/statm`) ?? ''),
})

/** `(vip_1) Entering MASTER STATE`: each is told once, as a VIP comes and as it goes. */
const transitionPattern = /Entering (?:MASTER|BACKUP|FAULT) STATE/g

export const countTransitions = (text: string) => text.match(transitionPattern)?.length ?? 0

const logBuffer = Buffer.alloc(logBytesMaximum)

/** Counts what has been written since the last time; a log that was begun anew is read from its beginning. */
function readOn(path: string, place: LogPlace): void {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch {
    return
  }
  try {
    const { ino, size } = fstatSync(file)
    if (ino !== place.inode) place.offsetBytes = place.inode === 0 && size > oldLogBytes ? size : 0
    if (size < place.offsetBytes) place.offsetBytes = 0
    place.inode = ino
    const length = readSync(file, logBuffer, 0, logBytesMaximum, place.offsetBytes)
    // A line that is half there is read again when it is whole.
    const end = logBuffer.subarray(0, length).lastIndexOf(0x0a) + 1
    place.transitions += countTransitions(logBuffer.toString('latin1', 0, end))
    place.offsetBytes += end === 0 && length === logBytesMaximum ? length : end
  } finally {
    closeSync(file)
  }
}
