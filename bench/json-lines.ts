/** A child program that is spoken with by lines on its standard input and output, and ends when its input does. */

export interface JsonLines {
  send(message: unknown): void
  /** A line as it is, for programs that speak no JSON. */
  sendText(line: string): void
  /** The next line, parsed; rejects when none comes in time or the program has ended. */
  receive(timeoutSeconds: number): Promise<unknown>
  receiveText(timeoutSeconds: number): Promise<string>
  stop(): Promise<void>
}

const stopSeconds = 5

export function startJsonLines(argv: readonly string[], environment: Readonly<Record<string, string>> = {}): JsonLines {
  const child = Bun.spawn([...argv], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
    env: { ...process.env, ...environment },
  })
  const lines = readLines(child.stdout)
  const receiveText = async (timeoutSeconds: number) => {
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = new Promise<never>((_, reject) => {
      const what = `${argv.slice(-2).join(' ')} said nothing for ${timeoutSeconds} s`
      timer = setTimeout(() => reject(new Error(what)), timeoutSeconds * 1000)
    })
    const next = await Promise.race([lines.next(), late]).finally(() => clearTimeout(timer))
    if (next.done) throw new Error(`${argv.slice(-2).join(' ')} ended`)
    return next.value
  }
  const sendText = (line: string) => {
    child.stdin.write(`${line}\n`)
    child.stdin.flush()
  }
  return {
    sendText,
    send: (message) => sendText(JSON.stringify(message)),
    receiveText,
    receive: async (timeoutSeconds) => JSON.parse(await receiveText(timeoutSeconds)),
    async stop() {
      await child.stdin.end()
      const timer = setTimeout(() => child.kill('SIGKILL'), stopSeconds * 1000)
      await child.exited
      clearTimeout(timer)
    },
  }
}

async function* readLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true })
    const lines = text.split('\n')
    text = lines.pop() ?? ''
    yield* lines
  }
}
