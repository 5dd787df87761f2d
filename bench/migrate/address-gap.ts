/**
 * For how long a machine is away while its address is replaced, as its network's gateway sees it: from the last answer of
 * the one address to the first answer of the other, by two steady pings. Spawns the pings and nothing else.
 */

import { gatewayDevice } from '../../agent/kernel/names.ts'
import type { Migration } from '../../controller/contract/migration.ts'
import { openLab } from '../../lab/lab.ts'
import type { System } from '../system/system.ts'

export const pingIntervalMilliseconds = 5
const pingSecondsMaximum = 90
/** Answers that are on their way come in, so that the first of the new address is among them. */
const settleMilliseconds = 200

export interface GapWatch {
  /** Milliseconds; null when one of the addresses never answered while it was watched. */
  end(): Promise<number | null>
}

export interface Replacement {
  /** Where the machine is. */
  readonly host: string
  readonly before: string
  readonly after: string
}

/** The argv that runs a command in a namespace of a host; the process that is spawned is the command itself. */
export function inNamespaceOf(system: System, host: string, command: readonly string[]): readonly string[] {
  const pid = openLab(system.settings).state.hosts.find(({ name }) => name === host)?.process?.pid
  if (pid === undefined) throw new Error(`BUG: ${host} does not run`)
  return ['nsenter', '-t', String(pid), '-n', '-m', '--', ...command]
}

export function watchGap(system: System, { host, before, after }: Replacement): GapWatch {
  const pings = [before, after].map((address) => startPing(system, host, address))
  return {
    async end() {
      await Bun.sleep(settleMilliseconds)
      const [old, fresh] = await Promise.all(pings.map((ping) => ping.end()))
      const last = old?.at(-1)
      const first = fresh?.[0]
      return last === undefined || first === undefined ? null : Math.max(0, first - last)
    },
  }
}

/** When each answer came, wall-clock milliseconds. */
function startPing(system: System, host: string, address: string): { end(): Promise<readonly number[]> } {
  const pace = ['-i', String(pingIntervalMilliseconds / 1000), '-w', String(pingSecondsMaximum)]
  const ping = ['ping', '-n', '-D', ...pace, '-I', gatewayDevice(system.networkId), address]
  const argv = inNamespaceOf(system, host, ['ip', 'netns', 'exec', system.projectId, ...ping])
  const child = Bun.spawn([...argv], { stdin: 'ignore', stdout: 'pipe', stderr: 'ignore' })
  const text = new Response(child.stdout).text()
  return {
    async end() {
      child.kill('SIGINT')
      await child.exited
      return readAnswers(await text)
    },
  }
}

/** Of ping's lines with its option -D, those that tell of an answer. */
export const readAnswers = (text: string): readonly number[] =>
  [...text.matchAll(/^\[(\d+\.\d+)\] \d+ bytes from /gm)].map(([, seconds]) => Number(seconds) * 1000)

export interface MigrationGaps {
  /** To be called at each look at the migration. */
  look(migration: Migration): void
  end(): Promise<{ readonly gaps: readonly number[]; readonly missed: number }>
}

/** Watches each machine from its drain on until its move has ended. `hostOf`: by machine. */
export function watchMigrationGaps(system: System, hostOf: ReadonlyMap<string, string>): MigrationGaps {
  const watches = new Map<string, GapWatch>()
  const ended = new Map<string, Promise<number | null>>()
  let machines = 0
  return {
    look({ moves }) {
      machines = moves.filter(({ ownerKind }) => ownerKind === 'machine').length
      for (const { ownerId, step, from, to } of moves) {
        const host = hostOf.get(ownerId)
        if (host === undefined) continue
        const watch = watches.get(ownerId)
        if (watch === undefined && step === 'draining' && to !== null) {
          watches.set(ownerId, watchGap(system, { host, before: from, after: to }))
        } else if (watch !== undefined && !['draining', 'replacing'].includes(step) && !ended.has(ownerId)) {
          ended.set(ownerId, watch.end())
        }
      }
    },
    async end() {
      const unended = [...watches].filter(([ownerId]) => !ended.has(ownerId))
      const all = await Promise.all([...ended.values(), ...unended.map(([, watch]) => watch.end())])
      const gaps = all.filter((gap) => gap !== null)
      return { gaps, missed: machines - gaps.length }
    },
  }
}
