/** Keeps a program running that tells of events line by line, and starts it again when it ends. */

export interface FollowOptions {
  readonly argv: readonly string[]
  readonly onLine: (line: string) => void
  /** Called at each start: what happened before it has been missed. */
  readonly onStart: () => void
  readonly pauseMilliseconds?: number
}

/** Returns what ends it for good. */
export function followCommand({ argv, onLine, onStart, pauseMilliseconds = 200 }: FollowOptions): () => void {
  let isStopped = false
  let child: Bun.Subprocess<'ignore', 'pipe', 'ignore'> | undefined

  const runOnce = async () => {
    child = Bun.spawn([...argv], { stdin: 'ignore', stdout: 'pipe', stderr: 'ignore' })
    onStart()
    const decoder = new TextDecoder()
    let rest = ''
    for await (const chunk of child.stdout) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) onLine(line)
    }
    await child.exited
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
