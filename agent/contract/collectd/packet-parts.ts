/** The words of collectd's binary network protocol, from its page on the protocol and `src/network.h`. Pure. */

import type { DataSourceKind, Point } from '../points.ts'

/** The two bytes that begin a part; two more say how long it is, with these four. */
export const partType = {
  host: 0x0000,
  time: 0x0001,
  plugin: 0x0002,
  pluginInstance: 0x0003,
  type: 0x0004,
  typeInstance: 0x0005,
  values: 0x0006,
  interval: 0x0007,
  timeHighResolution: 0x0008,
  intervalHighResolution: 0x0009,
  message: 0x0100,
  severity: 0x0101,
  signature: 0x0200,
  encryption: 0x0210,
} as const

export const headBytes = 4
/** What collectd sends at most, so that no packet is cut up on its way. */
export const packetBytesMaximum = 1452

/** In the order of their numbers on the wire. */
export const kindCodes = ['COUNTER', 'GAUGE', 'DERIVE', 'ABSOLUTE'] as const satisfies readonly DataSourceKind[]

/** A value list as a collectd sends it: it says itself what kinds its values are of. */
export interface ValueList extends Point {
  readonly kinds: readonly DataSourceKind[]
}

/** Something that a collectd tells of in words. */
export interface Notification {
  readonly host: string
  readonly plugin: string
  readonly pluginInstance: string
  readonly type: string
  readonly typeInstance: string
  readonly timeSeconds: number
  /** 1: failure, 2: warning, 4: all is well again. */
  readonly severity: number
  readonly message: string
}

/** Time on the wire is in units of 2^-30 s. */
export const timeUnitsPerSecond = 2 ** 30
