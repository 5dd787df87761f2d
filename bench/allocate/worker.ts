/**
 * A program that allocates as a controller does, with a store and an allocator of its own, or publishes the same batches
 * by hand. It obeys JSON lines and ends when its standard input does.
 */

import { createInterface } from 'node:readline'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import pino from 'pino'
import * as v from 'valibot'
import { type AddressAllocator, createAddressAllocator } from '../../controller/address-space/allocator.ts'
import { openJetStreamStore } from '../../controller/control-plane/jetstream-store.ts'
import { createId } from '../../controller/control-plane/shard-key.ts'
import type { Store } from '../../controller/control-plane/store.ts'
import { addressKind, machineKind } from '../../controller/objects.ts'
import { driveClosedLoop } from './closed-loop.ts'
import { type Answer, type BenchSpace, type Command, commandSchema, type Pace } from './messages.ts'
import { createBatchPublisher, createMessagePublisher, createRawStream } from './publish-batches.ts'
import { awaitSpace, createSpace } from './space.ts'

/** Made before the time is taken, as whoever asks for an address has its owner already. */
const ownersPerSecond = 60_000
const fillInFlight = 480

let controller: { readonly store: Store; readonly allocator: AddressAllocator } | undefined
let raw: NatsConnection | undefined

function requireController() {
  if (controller === undefined) throw new Error('BUG: a controller that was not opened')
  return controller
}

function createOwners(projectId: string, count: number): () => string {
  const make = () => createId(machineKind.prefix, projectId, Date.now())
  const owners = Array.from({ length: count }, make)
  return () => owners.pop() ?? make()
}

const createOwnersFor = ({ projectId }: BenchSpace, { warmUpMilliseconds, milliseconds }: Pace) =>
  createOwners(projectId, (ownersPerSecond * (warmUpMilliseconds + milliseconds)) / 1000)

function allocate({ networkId }: BenchSpace, ownerId: string) {
  return requireController().allocator.allocateAddress({ networkId, ownerId })
}

async function obey(command: Command): Promise<Answer> {
  switch (command.kind) {
    case 'openController': {
      const connection = await connect({ servers: command.url })
      const store = await openJetStreamStore({ connection, logger: pino({ level: 'warn' }, pino.destination(2)) })
      controller = {
        store,
        allocator: createAddressAllocator({ store, now: Date.now, sleep: (milliseconds) => Bun.sleep(milliseconds) }),
      }
      return { kind: 'ready' }
    }
    case 'openRaw':
      raw = await connect({ servers: command.url })
      await createRawStream(raw)
      return { kind: 'ready' }
    case 'createSpace':
      return { kind: 'space', space: await createSpace(requireController().store, command.shards) }
    case 'awaitSpace':
      await awaitSpace(requireController().store, command.space)
      return { kind: 'ready' }
    case 'allocate': {
      const nextOwner = createOwnersFor(command.space, command.pace)
      const work = async () => ((await allocate(command.space, nextOwner())).ok ? 1 : 0)
      return { kind: 'ran', report: await driveClosedLoop({ ...command.pace, work }) }
    }
    case 'turnOver':
      return { kind: 'ran', report: await turnOver(command.space, command.pace) }
    case 'fill':
      await fill(command.space, command.heldAddresses)
      return { kind: 'ready' }
    case 'publish': {
      if (raw === undefined) throw new Error('BUG: a worker that was not opened')
      const { record, bytes, isOneMessage, pace } = command
      const create = isOneMessage ? createMessagePublisher : createBatchPublisher
      const work = create(raw, { record, bytes, addresses: pace.inFlight })
      return { kind: 'ran', report: await driveClosedLoop({ ...pace, inFlight: 1, work }) }
    }
    case 'memory':
      Bun.gc(true)
      return { kind: 'memory', residentBytes: process.memoryUsage().rss }
    default:
      return command satisfies never
  }
}

/** Each caller in turns takes an address and gives it back: both count, and the latency is of either. */
async function turnOver(space: BenchSpace, pace: Pace) {
  const nextOwner = createOwnersFor(space, pace)
  const { allocator } = requireController()
  const holding: string[] = []
  const work = async () => {
    const held = holding.pop()
    if (held !== undefined) return (await allocator.releaseAddresses(held)).ok ? 1 : 0
    const ownerId = nextOwner()
    if (!(await allocate(space, ownerId)).ok) return 0
    holding.push(ownerId)
    return 1
  }
  const report = await driveClosedLoop({ ...pace, work })
  await Promise.all(holding.map((ownerId) => allocator.releaseAddresses(ownerId)))
  return report
}

async function fill(space: BenchSpace, heldAddresses: number): Promise<void> {
  let left = heldAddresses - requireController().store.snapshot(addressKind, space.projectId).length
  const nextOwner = createOwners(space.projectId, 0)
  const ask = async () => {
    while (left-- > 0) {
      const outcome = await allocate(space, nextOwner())
      if (!outcome.ok) throw new Error(outcome.problem.detail)
    }
  }
  await Promise.all(Array.from({ length: fillInFlight }, ask))
}

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await obey(v.parse(commandSchema, JSON.parse(line)))
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
process.exit(0)
