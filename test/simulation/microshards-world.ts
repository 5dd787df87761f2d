/**
 * Streams, a directory and their callers in memory, one step of anybody at a time in an order that a seed decides: what
 * operations on microshards are simulated on. The planner, the copier and the driver are the real ones.
 */

import type { WatchedDirectory } from '../../controller/control-plane/directory/watched-directory.ts'
import type { CopiedUpTo } from '../../controller/control-plane/lifecycle/copied-header.ts'
import type { LifecycleStreams } from '../../controller/control-plane/lifecycle/lifecycle-streams.ts'
import { type MicroshardPlace, objectSubject } from '../../controller/control-plane/message.ts'
import {
  findMicroshard,
  type MicroshardDirectory,
  planFirstDirectory,
} from '../../controller/control-plane/microshard-directory.ts'
import type { ShardKey } from '../../controller/control-plane/shard-key.ts'

/** One write, as it lies in a stream. */
interface SimulatedMessage {
  readonly sequence: number
  readonly subject: string
  readonly data: Uint8Array
  readonly shardKey: ShardKey | null
  readonly copiedUpTo: CopiedUpTo | null
}

interface SimulatedStream {
  readonly place: MicroshardPlace
  isSealed: boolean
  readonly messages: SimulatedMessage[]
  /** Events that nobody has relayed yet. */
  events: number
}

export interface Write {
  readonly key: ShardKey
  readonly version: number
  readonly writer: number
}

export interface World {
  readonly random: (below: number) => number
  /** Everybody's next steps, until nobody has any. */
  run(stepsMaximum: number): Promise<void>
  /** A party: it takes steps, may be frozen for a while, and once killed never goes on. */
  party(): Party
  readonly directory: () => MicroshardDirectory
  /** Writes that a stream has taken, in their order, whoever has heard of it. */
  readonly taken: readonly Write[]
  /** What is kept of a key where the directory says that it is. */
  read(key: ShardKey): readonly number[]
  readonly streamIds: () => readonly string[]
}

export interface Party {
  readonly directory: Pick<WatchedDirectory, 'current' | 'subscribe' | 'refresh' | 'change'>
  readonly streams: LifecycleStreams
  /** Writes a version of a key on the condition that it is the next. */
  write(view: MicroshardDirectory, write: Write): Promise<'stored' | 'wrong' | 'fenced'>
  readVersion(view: MicroshardDirectory, key: ShardKey): Promise<number | 'fenced'>
  pause(): Promise<void>
  freeze(isFrozen: boolean): void
  kill(): void
  readonly isDead: () => boolean
}

const kind = 'counter'
const nothing = { copiedUpTo: {} }
/** As few as this, so that copying takes many turns. */
const messagesReadMaximum = 3

export function createWorld(random: (below: number) => number): World {
  const streams = new Map<string, SimulatedStream>()
  const steps: { readonly go: () => void; readonly isFrozen: () => boolean }[] = []
  const taken: Write[] = []
  const listeners = new Set<(directory: MicroshardDirectory) => void>()
  let directory = planFirstDirectory(2)
  for (const place of directory.microshards) make(place)

  function make(place: MicroshardPlace): void {
    if (!streams.has(place.id)) streams.set(place.id, { place, isSealed: false, messages: [], events: 0 })
  }

  function streamOf({ id }: MicroshardPlace): SimulatedStream {
    const stream = streams.get(id)
    if (stream === undefined) throw new Error(`stream ${id} not found`)
    return stream
  }

  const lastOf = ({ messages }: SimulatedStream) => messages.at(-1)?.sequence ?? 0
  const versionsOf = (stream: SimulatedStream | undefined, key: ShardKey): number[] =>
    (stream?.messages ?? []).flatMap(({ shardKey, data }) =>
      shardKey === key ? [Number(Buffer.from(data).toString())] : [],
    )

  function party(): Party {
    let isFrozen = false
    let isDead = false
    const step = () => new Promise<void>((resolve) => steps.push({ go: resolve, isFrozen: () => isFrozen }))

    /** On its way for a while, then done, then answered: whoever dies in between has done it all the same. */
    async function call<Answer>(work: () => Answer): Promise<Answer> {
      await step()
      let answer: { readonly value: Answer } | { readonly trouble: unknown }
      try {
        answer = { value: work() }
      } catch (trouble) {
        answer = { trouble }
      }
      await step()
      if (isDead) return new Promise<Answer>(() => {})
      if ('trouble' in answer) throw answer.trouble
      return answer.value
    }

    return {
      isDead: () => isDead,
      pause: () => call(() => {}),
      freeze: (frozen) => {
        isFrozen = frozen
      },
      kill: () => {
        isDead = true
        isFrozen = false
      },
      directory: {
        current: () => directory,
        subscribe(listener) {
          listeners.add(listener)
          return () => listeners.delete(listener)
        },
        refresh: () => call(() => directory),
        async change(plan) {
          // Read and written at two times: whoever was faster makes it be planned anew.
          for (;;) {
            const read = await call(() => directory)
            const planned = plan(read)
            if (planned.kind === 'keep') return planned
            const isChanged = await call(() => {
              if (directory.version !== read.version) return false
              directory = planned.directory
              for (const listener of [...listeners]) listener(directory)
              return true
            })
            if (isChanged) return planned
          }
        },
      },
      streams: {
        make: (entry) => call(() => make({ id: entry.id, epoch: entry.epoch })),
        lead: () => call(() => {}),
        isThere: (id) => call(() => streams.has(id)),
        drop: (id) => call(() => void streams.delete(id)),
        async seal(place) {
          // Two requests: the configuration first, which is not ordered with writes, then the barrier.
          await call(() => {
            streamOf(place).isSealed = true
          })
          return call(() => {
            const stream = streamOf(place)
            const sequence = lastOf(stream) + 1
            stream.messages.push({
              sequence,
              subject: 'seal',
              data: new Uint8Array(),
              shardKey: null,
              copiedUpTo: null,
            })
            return sequence
          })
        },
        readAfter: (place, sequence) =>
          call(() => {
            const left = streamOf(place).messages.filter((message) => message.sequence > sequence)
            const messages = left.slice(0, messagesReadMaximum)
            return { messages, upTo: messages.at(-1)?.sequence ?? sequence }
          }),
        readCopied: (place) =>
          call(() => {
            const stream = streamOf(place)
            return { lastSequence: lastOf(stream), copiedUpTo: (stream.messages.at(-1) ?? nothing).copiedUpTo }
          }),
        append: (place, messages, after) =>
          call(() => {
            const stream = streams.get(place.id)
            if (stream === undefined || stream.isSealed || lastOf(stream) !== after) return { kind: 'elsewhere' }
            for (const [i, { subject, data, copiedUpTo }] of messages.entries()) {
              const shardKey = subject.split('.').at(-1) ?? ''
              stream.messages.push({ sequence: after + i + 1, subject, data, shardKey, copiedUpTo })
            }
            return { kind: 'stored', lastSequence: lastOf(stream) }
          }),
        hasWaitingEvents: (place) =>
          call(() => {
            const stream = streamOf(place)
            stream.events = Math.max(0, stream.events - 1)
            return stream.events > 0
          }),
      },
      write: (view, { key, version, writer }) =>
        call(() => {
          const place = findMicroshard(view, key)
          const stream = streams.get(place.id)
          if (stream === undefined || stream.isSealed) return 'fenced'
          if ((versionsOf(stream, key).at(-1) ?? 0) !== version - 1) return 'wrong'
          const subject = objectSubject(place, kind, key)
          const data = new TextEncoder().encode(String(version))
          stream.messages.push({ sequence: lastOf(stream) + 1, subject, data, shardKey: key, copiedUpTo: null })
          stream.events++
          taken.push({ key, version, writer })
          return 'stored'
        }),
      readVersion: (view, key) =>
        call(() => {
          const stream = streams.get(findMicroshard(view, key).id)
          return stream === undefined || stream.isSealed ? 'fenced' : (versionsOf(stream, key).at(-1) ?? 0)
        }),
    }
  }

  return {
    random,
    party,
    taken,
    directory: () => directory,
    streamIds: () => [...streams.keys()],
    read: (key) => versionsOf(streams.get(findMicroshard(directory, key).id), key),
    async run(stepsMaximum) {
      for (let i = 0; i < stepsMaximum; i++) {
        // Everybody does what follows from the last step, and says what he does next.
        for (let turns = 0; turns < 30; turns++) await Promise.resolve()
        const ready = steps.filter(({ isFrozen }) => !isFrozen())
        const chosen = ready[random(ready.length)]
        if (chosen === undefined) return
        steps.splice(steps.indexOf(chosen), 1)
        chosen.go()
      }
    },
  }
}
