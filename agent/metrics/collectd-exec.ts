/**
 * `sluice-agent collectd-exec`: what collectd's exec plugin starts to get our points. It reads them from the agent of the
 * host, and goes on asking while there is none: whoever ended would be started again and again.
 */

export interface ExecOptions {
  /** Of the agent's points, as http://127.0.0.1:25827/v1/points. */
  readonly url: string
  /** Gets whole lines. Rejects when nobody reads any more. */
  readonly write: (lines: string) => Promise<void>
  readonly sleep: (milliseconds: number) => Promise<void>
  readonly log: (message: string) => void
}

const againMilliseconds = 2000

/** Ends, by rejecting, only when nobody reads any more. */
export async function runCollectdExec({ url, write, sleep, log }: ExecOptions): Promise<never> {
  let isTold = false
  for (;;) {
    const chunks = await open(url)
    if (chunks === undefined && !isTold) log(`no agent answers at ${url}; is httpListen set in its collectd.json?`)
    isTold = chunks === undefined
    if (chunks !== undefined) await passOn(chunks, write)
    await sleep(againMilliseconds)
  }
}

type Chunks = AsyncIterable<Uint8Array>

async function open(url: string): Promise<Chunks | undefined> {
  try {
    const response = await fetch(url)
    return response.ok ? (response.body ?? undefined) : undefined
  } catch {
    return undefined
  }
}

/** Until the agent ends it. A line that is half there waits for its other half. */
async function passOn(chunks: Chunks, write: ExecOptions['write']): Promise<void> {
  const lines = createLineGatherer()
  const iterator = chunks[Symbol.asyncIterator]()
  for (;;) {
    // A connection that breaks is an end like any other; that nobody reads any more is not, and is passed on.
    const chunk = await iterator.next().catch(() => undefined)
    if (chunk === undefined || chunk.done) return
    const whole = lines(chunk.value)
    if (whole !== '') await write(whole)
  }
}

function createLineGatherer(): (bytes: Uint8Array) => string {
  const decoder = new TextDecoder()
  let rest = ''
  return (bytes) => {
    const text = rest + decoder.decode(bytes, { stream: true })
    const end = text.lastIndexOf('\n') + 1
    rest = text.slice(end)
    return text.slice(0, end)
  }
}
