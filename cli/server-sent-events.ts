/** Reads a stream of server-sent events, as the HTML standard has it. */

export type ServerSentEvent = { readonly id: string; readonly event: string; readonly data: string }

export async function* parseServerSentEvents(stream: AsyncIterable<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  const decoder = new TextDecoder()
  let rest = ''
  // The last id holds until another one is given.
  let id = ''
  for await (const chunk of stream) {
    // The whole rest again, since a chunk may end between the two.
    rest = (rest + decoder.decode(chunk, { stream: true })).replaceAll('\r\n', '\n')
    const blocks = rest.split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const fields = block.split('\n').map(parseField)
      id = fields.findLast(({ name }) => name === 'id')?.value ?? id
      const data = fields.flatMap(({ name, value }) => (name === 'data' ? [value] : []))
      const event = fields.findLast(({ name }) => name === 'event')?.value ?? 'message'
      // A block of comments alone only keeps the connection open.
      if (data.length > 0) yield { id, event, data: data.join('\n') }
    }
  }
}

function parseField(line: string): { name: string; value: string } {
  const colon = line.indexOf(':')
  if (colon < 0) return { name: line, value: '' }
  return { name: line.slice(0, colon), value: line.slice(colon + 1).replace(/^ /, '') }
}
