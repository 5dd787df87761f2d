/** Drives by-hand.sh: the same work by a bare shell, in namespaces of its own. */

import { tmpdir } from 'node:os'
import { startJsonLines } from '../json-lines.ts'

export interface Floor {
  /** A process of its client's network namespace. */
  readonly clientPid: number
  /** The VIPs of a balancer, known before it is built. */
  vips(balancer: number): Promise<readonly string[]>
  /** Resolves when the script is done; with when it began, wall-clock milliseconds. */
  create(balancer: number): Promise<number>
  /**
   * Gives the balancers that are made from now on an interval for their start alone, or none; `settle` then gives them
   * the one that stays.
   */
  startWith(advertSeconds: number | undefined): Promise<void>
  settle(balancer: number): Promise<void>
  delete(balancer: number): Promise<void>
  /** The links of the host at which the first VIP of balancer 1 is at home; with when the script began. */
  cut(): Promise<number>
  heal(): Promise<void>
  stop(): Promise<void>
}

/** The settings that the measured side has, and must be measured against. */
export interface FloorSettings {
  readonly advertSeconds: number
  readonly homePriority: number
  readonly backupPriority: number
  readonly preemptDelaySeconds: number
  /** 0: an ordinary process. */
  readonly realtimePriority: number
  /** Of haproxy. */
  readonly threads: number
  /** What serves a web machine's port 80; python where it is left out. */
  readonly webCommand?: string
  /** Servers of each balancer; three where it is left out. */
  readonly members?: number
}

const script = new URL('by-hand.sh', import.meta.url).pathname
const buildTimeoutSeconds = 60
const stepTimeoutSeconds = 30

export async function startFloor(settings: FloorSettings): Promise<Floor> {
  const lines = startJsonLines(['bash', script, 'serve'], {
    ADVERT_SECONDS: String(settings.advertSeconds),
    HOME_PRIORITY: String(settings.homePriority),
    BACKUP_PRIORITY: String(settings.backupPriority),
    PREEMPT_DELAY_SECONDS: String(settings.preemptDelaySeconds),
    REALTIME_PRIORITY: String(settings.realtimePriority),
    THREADS: String(settings.threads),
    // In a sandbox its files go with the sandbox, however it ends.
    TMPDIR: process.env.SLUICE_LAB_DISKS ?? tmpdir(),
    ...(settings.webCommand === undefined ? {} : { WEB_COMMAND: settings.webCommand }),
    ...(settings.members === undefined ? {} : { MEMBERS: String(settings.members) }),
  })
  const order = async (line: string): Promise<{ begunAt: number; words: readonly string[] }> => {
    lines.sendText(line)
    const [verb, begun, ...words] = (await lines.receiveText(stepTimeoutSeconds)).split(' ')
    if (verb !== line.split(' ')[0]) throw new Error(`the floor's script answered "${verb}" to "${line}"`)
    return { begunAt: Number(begun) * 1000, words }
  }
  const [ready, clientPid] = (await lines.receiveText(buildTimeoutSeconds)).split(' ')
  if (ready !== 'ready') throw new Error("the floor's script did not build its hosts")
  return {
    clientPid: Number(clientPid),
    vips: async (balancer) => (await order(`vip ${balancer}`)).words,
    create: async (balancer) => (await order(`create ${balancer}`)).begunAt,
    startWith: async (advertSeconds) => void (await order(`start ${advertSeconds ?? ''}`.trimEnd())),
    settle: async (balancer) => void (await order(`settle ${balancer}`)),
    delete: async (balancer) => void (await order(`delete ${balancer}`)),
    cut: async () => (await order('cut')).begunAt,
    heal: async () => void (await order('heal')),
    stop: () => lines.stop(),
  }
}
