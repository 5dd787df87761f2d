/** Keeps a program running that tells of events line by line, and starts it again when it ends. */

export interface FollowOptions {
  readonly argv: readonly string[]
  readonly onLine: (line: string) => void
  /** Called at each start and whenever the program complains: something may have been missed. */
  readonly onMissed: () => void
  readonly pauseMilliseconds?: number
}

/** Returns what ends it for good. */
export function followCommand({ argv, onLine, onMissed, pauseMilliseconds = 200 }: FollowOptions): () => void {
  let isStopped = false
  let child: Bun.Subprocess<'ignore', 'pipe', 'pipe'> | undefined

  const runOnce = async () => {
    child = Bun.spawn([...argv], { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
    onMissed()
    await Promise.all([readLines(child.stdout, onLine), readLines(child.stderr, onMissed), child.exited])
  }
  const run = async () => {
    while (!isStopped) {
      await runOnce().catch(() => undefined)
      if (!isStopped) await Bun.sleep(pauseMilliseconds)
    }
  }
  void run()
  return () => {
    isStopped = true
    child?.kill()
  }
}

async function readLines(stream: ReadableStream<Uint8Array>, onLine: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) onLine(line)
  }
}
