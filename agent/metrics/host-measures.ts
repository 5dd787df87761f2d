/** Measures the host itself: processors, memory, load, disks, its own devices and sockets. Reads /proc only. */

import { statfsSync } from 'node:fs'
import { ownPlugins } from '../contract/point-names.ts'
import { readText } from '../health/process-facts.ts'
import {
  type DeviceCounts,
  parseConnectionTracking,
  parseDisks,
  parseLoadAverage,
  parseMemory,
  parseProcessors,
  parseSockets,
} from './kernel-tables.ts'
import { makeMeasure } from './make-measure.ts'
import type { Measure } from './measured-instance.ts'

export interface HostPlace {
  /** The devices that join hosts and clients. */
  readonly devices: readonly string[]
  /** Whose file system is told of. */
  readonly stateFolder: string
}

const plugin = ownPlugins.host

/** What can't be read on this machine is left out. */
export function measureHost(place: HostPlace, devices: ReadonlyMap<string, DeviceCounts>): Measure[] {
  return [
    ...from(['/proc/stat'], (text) => [makeMeasure({ plugin }, 'host_cpu', parseProcessors(text))]),
    ...from(['/proc/meminfo'], (text) => [makeMeasure({ plugin }, 'host_memory', parseMemory(text))]),
    ...from(['/proc/loadavg', '/proc/uptime'], (load, uptime = '') => [
      makeMeasure({ plugin }, 'host_load', parseLoadAverage(load, uptime)),
    ]),
    ...from(['/proc/diskstats'], (text) =>
      parseDisks(text).map(({ name, disk }) => makeMeasure({ plugin, typeInstance: name }, 'host_disk', disk)),
    ),
    ...from(['/proc/self/net/sockstat'], (text) => [makeMeasure({ plugin }, 'sockets', parseSockets(text))]),
    ...from(['/proc/self/net/stat/nf_conntrack'], (text) => [
      makeMeasure({ plugin }, 'connection_tracking', parseConnectionTracking(text)),
    ]),
    ...place.devices.flatMap((name) => {
      const counts = devices.get(name)
      return counts === undefined ? [] : [makeMeasure({ plugin, typeInstance: name }, 'device', { ...counts })]
    }),
    ...measureFileSystem(place.stateFolder),
  ]
}

function from(paths: readonly string[], measure: (text: string, ...more: string[]) => Measure[]): Measure[] {
  const [first, ...more] = paths.map((path) => readText(path))
  return first === undefined ? [] : measure(first, ...more.map((text) => text ?? ''))
}

function measureFileSystem(folder: string): Measure[] {
  try {
    const { bsize, blocks, bavail } = statfsSync(folder)
    return [
      makeMeasure({ plugin, typeInstance: 'state' }, 'host_filesystem', {
        size: blocks * bsize,
        available: bavail * bsize,
      }),
    ]
  } catch {
    return []
  }
}
