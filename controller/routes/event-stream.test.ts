import { expect, test } from 'bun:test'
import type { CloudEvent } from '../contract/events.ts'
import { streamEvents } from './event-stream.ts'

const event = (type: string): CloudEvent => ({
  specversion: '1.0',
  id: `evt_${'0'.repeat(25)}`,
  source: 'sluice',
  type,
  subject: 'x',
  time: '2030-01-01T00:00:00.000Z',
  datacontenttype: 'application/json',
  data: {},
})
const never = new AbortController().signal

/** Reads the pieces of a stream as text. */
async function* readTexts(response: Response): AsyncGenerator<string> {
  for await (const chunk of response.body ?? []) yield new TextDecoder().decode(chunk)
}

test('a stream that has nothing to tell says that it lives', async () => {
  const ended = Promise.withResolvers<void>()
  const read = async function* ({ signal }: { signal: AbortSignal }) {
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
    ended.resolve()
    yield* []
  }
  const stream = streamEvents({ read, isWanted: () => true, signal: never, heartbeatMilliseconds: 1 })
  let beats = 0
  for await (const text of readTexts(stream)) if (text === ': heartbeat\n\n' && ++beats === 3) break
  // Who stops reading ends the reading behind it.
  await ended.promise
})

test('a stream asks for no more events than its caller reads', async () => {
  let asked = 0
  const read = async function* () {
    for (;;) {
      asked++
      yield event('network.created')
    }
  }
  const stream = streamEvents({ read, isWanted: () => true, signal: never })
  let told = 0
  for await (const text of readTexts(stream)) {
    if (text.startsWith('id: ')) told++
    expect(asked - told).toBeLessThanOrEqual(3)
    if (told === 50) break
  }
})

test('a stream whose reading fails breaks, so that its caller comes again', async () => {
  const read = async function* () {
    yield event('network.created')
    throw new Error('the bus is gone')
  }
  const texts: string[] = []
  const reading = (async () => {
    for await (const text of readTexts(streamEvents({ read, isWanted: () => true, signal: never }))) texts.push(text)
  })()
  await expect(reading).rejects.toThrow('the bus is gone')
  expect(texts.join('')).toContain('event: network.created')
})
