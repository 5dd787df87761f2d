/** What an appliance says of itself in one answer, as the same facts that an agent reads of its own host. Pure. */

import type { InstanceFacts } from '../health/process-facts.ts'
import { firstProcesses, type MarkedProcess, parseMark, parseStat } from '../operations/marked-processes.ts'
import type { ObservedDaemon } from '../operations/operation.ts'

export interface ApplianceFacts {
  readonly daemons: readonly ObservedDaemon[]
  readonly facts: InstanceFacts
}

/** Parses what the image's `look` prints; undefined where that is not whole. */
export function parseApplianceFacts(text: string): ApplianceFacts | undefined {
  let uptimeSeconds: number | undefined
  const processes: MarkedProcess[] = []
  const files = new Map<string, string>()
  const addresses = new Set<string>()
  for (const line of text.split('\n')) {
    const [word, first = ''] = line.split(' ', 2)
    const rest = line.slice(`${word} ${first} `.length)
    if (word === 'uptime') uptimeSeconds = Number(first)
    else if (word === 'file') files.set(first, Buffer.from(rest, 'base64').toString())
    else if (word === 'address') addresses.add(first)
    else if (word === 'process') {
      const mark = parseMark(first)
      const stat = parseStat(rest)
      if (mark !== undefined && stat.state !== 'Z') processes.push({ ...mark, ...stat, pid: Number.parseInt(rest, 10) })
    }
  }
  if (uptimeSeconds === undefined || !Number.isFinite(uptimeSeconds)) return undefined
  const seconds = uptimeSeconds
  const alive = new Set(processes.map(({ pid }) => pid))
  return {
    daemons: firstProcesses(processes).map(({ objectId, daemon, pid, startTimeTicks, fingerprint }) => ({
      objectId,
      daemon,
      pid,
      startTimeTicks,
      fingerprint,
      namespaceInode: 0,
    })),
    facts: {
      readText: (path) => files.get(path),
      // All processes that anybody asks for bear the mark.
      isAlive: (pid) => alive.has(pid),
      uptimeSeconds: () => seconds,
      heldAddresses: (_pid, asked) => asked.filter((address) => addresses.has(address)),
    },
  }
}
