import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { parseServerSentEvents, type ServerSentEvent } from './server-sent-events.ts'

async function parse(chunks: readonly Uint8Array[]): Promise<ServerSentEvent[]> {
  async function* stream() {
    yield* chunks
  }
  return await Array.fromAsync(parseServerSentEvents(stream()))
}

const text =
  'retry: 1000\n\n: following\n\nid: 1\nevent: a.made\ndata: {"ü":1}\n\nid: 2\r\ndata: x\r\ndata: y\r\n\r\ndata:z\n\nid: 9\n'
const events = [
  { id: '1', event: 'a.made', data: '{"ü":1}' },
  { id: '2', event: 'message', data: 'x\ny' },
  { id: '2', event: 'message', data: 'z' },
]

test('events are read; comments and what is not ended are not events', async () => {
  expect(await parse([new TextEncoder().encode(text)])).toEqual(events)
})

test('wherever the stream is cut into chunks', async () => {
  const bytes = new TextEncoder().encode(text)
  const cuts = fc.array(fc.integer({ min: 0, max: bytes.length }), { maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(cuts, async (some) => {
      const ends = [...some.toSorted((a, b) => a - b), bytes.length]
      const chunks = ends.map((end, index) => bytes.slice(index === 0 ? 0 : ends[index - 1], end))
      expect(await parse(chunks)).toEqual(events)
    }),
  )
})
