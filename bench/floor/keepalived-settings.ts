/** What matters for an election, read off a keepalived config that runs, so that the floor is given the very same. Pure. */

import type { FloorSettings } from './start-floor.ts'

export type ElectionSettings = Pick<
  FloorSettings,
  'advertSeconds' | 'homePriority' | 'backupPriority' | 'preemptDelaySeconds'
>

/** Of an instance that is at home in one slot and a backup in another. Throws where the config can't be read so. */
export function readElectionSettings(config: string): ElectionSettings {
  const instances = config
    .split(/^\s*vrrp_instance\b/m)
    .slice(1)
    .map((group) => ({
      priority: Number(wordAfter(group, 'priority')),
      advertSeconds: Number(wordAfter(group, 'advert_int')),
      preemptDelaySeconds: Number(wordAfter(group, 'preempt_delay')),
    }))
    .toSorted((a, b) => b.priority - a.priority)
  const [home, backup] = instances
  if (home === undefined || backup === undefined) throw new Error('this config is of an instance without a partner')
  const { priority: homePriority, advertSeconds, preemptDelaySeconds } = home
  return { homePriority, backupPriority: backup.priority, advertSeconds, preemptDelaySeconds }
}

/** Of the config's first VRRP instance. */
export const readAdvertSeconds = (config: string): number => Number(wordAfter(config, 'advert_int'))

function wordAfter(text: string, name: string): string {
  const found = new RegExp(`^\\s*${name}\\s+(\\S+)`, 'm').exec(text)?.[1]
  if (found === undefined) throw new Error(`the config says nothing about ${name}`)
  return found
}
