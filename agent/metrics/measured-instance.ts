/** What the sources of a host need to know of an instance to measure it. Types only. */

import type { InstanceIds } from '../contract/point-names.ts'
import type { Point } from '../contract/points.ts'

export interface MeasuredInstance {
  readonly ids: InstanceIds
  /** In its namespace; 0: it does not run. */
  readonly haproxyPid: number
  readonly keepalivedPid: number
  /** Of the child that speaks VRRP. */
  readonly keepalivedChildPidFile: string
  readonly keepalivedLog: string
  readonly vips: readonly string[]
}

/** A point without what is the same of all points of one pass. */
export type Measure = Omit<Point, 'host' | 'intervalSeconds' | 'timeSeconds'>
