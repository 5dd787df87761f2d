/** Measures the agent itself: its processor time, its memory, the turns of its loop and what becomes of points. */

import { ownPlugins } from '../contract/point-names.ts'
import { makeMeasure } from './make-measure.ts'
import type { Measure } from './measured-instance.ts'

export interface OwnMeter {
  onTurn(milliseconds: number): void
  /** To be called once a pass, with what the pass before took. */
  measure(measuringSeconds: number): Measure
}

export function createOwnMeter(uptimeSeconds: () => number = process.uptime): OwnMeter {
  let turns = 0
  let turnMilliseconds = 0
  let longestMilliseconds = 0
  return {
    onTurn(milliseconds) {
      turns += 1
      turnMilliseconds += milliseconds
      longestMilliseconds = Math.max(longestMilliseconds, milliseconds)
    },
    measure(measuringSeconds) {
      const { user, system } = process.cpuUsage()
      const longest = longestMilliseconds
      longestMilliseconds = 0
      return makeMeasure({ plugin: ownPlugins.agent }, 'agent_process', {
        cpu: user + system,
        resident: process.memoryUsage.rss(),
        turns,
        turn_time: Math.round(1000 * turnMilliseconds),
        turn_time_maximum: longest / 1000,
        measuring_time: measuringSeconds,
        uptime: uptimeSeconds(),
      })
    },
  }
}
