/**
 * The room of addresses on the move: while a machine or an instance has several, it looks whether each answers its gateway
 * and how many connections it has. It changes nothing, and a turn never waits for it.
 */

import type { AddressReport } from '../contract/host-report.ts'
import { gatewayDevice } from '../kernel/names.ts'
import { namespaceFolder } from '../kernel/observe-kernel.ts'
import type { RunCommand } from '../operations/run-command.ts'
import type { ReportAddresses, Room } from '../room.ts'
import { type AddressHolder, countConnections, findHolders } from './address-holders.ts'

export interface AddressRoomOptions {
  readonly run: RunCommand
  /** Told when there is something new to report. */
  readonly onNews: () => void
  /** In milliseconds, of a clock that never goes back. */
  readonly now: () => number
}

export interface AddressRoom extends Room {
  readonly reportAddresses: ReportAddresses
}

/** A little less than a tick, so that each tick finds everyone due. */
const lookIntervalMilliseconds = 900
/** Each is a process or a few; who has waited longest comes first. */
const looksAtOnceMaximum = 32

/** What is known of a holder. */
interface Memory {
  readonly holder: AddressHolder
  /** Those that have answered: one that has is not asked again. */
  readonly answered: Set<string>
  /** By address; undefined until they have been counted with the addresses as they are. */
  connections: ReadonlyMap<string, number> | undefined
  lookedAt: number
  isBeingLookedAt: boolean
}

export function createAddressRoom({ run, onNews, now }: AddressRoomOptions): AddressRoom {
  const memories = new Map<string, Memory>()
  let remembered: object | undefined

  const lookAt = async (memory: Memory) => {
    const { holder, answered } = memory
    memory.isBeingLookedAt = true
    memory.lookedAt = now()
    const count = async () => {
      const connections = await readConnections(run, holder)
      const isFirst = memory.connections === undefined && connections !== undefined
      memory.connections = connections
      return isFirst
    }
    const ask = async (address: string) => {
      const isAnswering = await probe(run, holder, address)
      if (isAnswering) answered.add(address)
      return isAnswering
    }
    const tell = (isNews: boolean) => {
      if (isNews && memories.get(holder.id) === memory) onNews()
    }
    const unanswered = holder.addresses.filter((address) => !answered.has(address))
    await Promise.all([count().then(tell), ...unanswered.map((address) => ask(address).then(tell))])
    memory.isBeingLookedAt = false
  }

  const lookAtThoseDue = () => {
    const all = [...memories.values()]
    const busy = all.filter(({ isBeingLookedAt }) => isBeingLookedAt).length
    const due = all
      .filter(({ isBeingLookedAt, lookedAt }) => !isBeingLookedAt && now() - lookedAt >= lookIntervalMilliseconds)
      .sort((a, b) => a.lookedAt - b.lookedAt)
    for (const memory of due.slice(0, Math.max(0, looksAtOnceMaximum - busy))) void lookAt(memory)
  }

  return {
    name: 'addresses',
    look({ desired }) {
      if (remembered !== desired) rememberHolders(memories, findHolders(desired))
      remembered = desired
      if (memories.size > 0) lookAtThoseDue()
      return Promise.resolve([])
    },
    reportAddresses: (holderId) => describeMemory(memories.get(holderId)),
  }
}

/** An address that goes is forgotten: should it come again, it has to answer again. */
function rememberHolders(memories: Map<string, Memory>, holders: readonly AddressHolder[]): void {
  const wanted = new Set(holders.map(({ id }) => id))
  for (const id of [...memories.keys()]) if (!wanted.has(id)) memories.delete(id)
  for (const holder of holders) {
    const before = memories.get(holder.id)
    if (before !== undefined && Bun.deepEquals(before.holder, holder)) continue
    const isNoneNew = holder.addresses.every((address) => before?.holder.addresses.includes(address))
    memories.set(holder.id, {
      holder,
      answered: new Set(holder.addresses.filter((address) => before?.answered.has(address))),
      connections: isNoneNew ? before?.connections : undefined,
      lookedAt: Number.NEGATIVE_INFINITY,
      isBeingLookedAt: false,
    })
  }
}

/** An address is told of before anything is known of it: silence would be taken for that of a holder at rest. */
function describeMemory(memory: Memory | undefined): AddressReport[] | undefined {
  if (memory === undefined) return undefined
  const { holder, answered, connections } = memory
  return holder.addresses.map((address) => ({
    address,
    answers: answered.has(address),
    ...(connections && { connections: connections.get(address) ?? 0 }),
  }))
}

const enter = (namespace: string) => ['nsenter', `--net=${namespaceFolder}/${namespace}`, '--']

/**
 * Undefined where they can't be counted, e.g. since the namespace is not there yet: that is not none. A connection that one
 * side has closed may still have an answer under way in it; only one that merely waits for its end to be forgotten is over.
 */
async function readConnections(
  run: RunCommand,
  { id, addresses }: AddressHolder,
): Promise<Map<string, number> | undefined> {
  // By the kernel's own filter, since a balancer has far more connections with its clients.
  const ends = addresses.flatMap((address, i) => [...(i === 0 ? [] : ['or']), 'src', address])
  const result = await run([...enter(id), 'ss', '-Htn', 'state', 'connected', 'exclude', 'time-wait', ...ends])
  return result.exitCode === 0 ? countConnections(result.stdout) : undefined
}

/**
 * From the gateway's place, which knows the address as that of the holder's MAC alone. Several times within a second, so
 * that one which is only about to come is seen soon after it has.
 */
async function probe(run: RunCommand, { projectId, networkId }: AddressHolder, address: string): Promise<boolean> {
  const device = gatewayDevice(networkId)
  const ping = ['ping', '-n', '-q', '-c', '1', '-i', '0.1', '-w', '1', '-I', device, address]
  const result = await run([...enter(projectId), ...ping])
  return result.exitCode === 0
}
