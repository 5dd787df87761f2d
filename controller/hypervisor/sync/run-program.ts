/**
 * Runs the programs that a sync needs, each as a child that is watched: it ends within its time, or is interrupted and
 * then killed. The one place of this room that starts processes.
 */

export interface ProgramCall {
  readonly argv: readonly string[]
  readonly folder?: string
  readonly environment?: Readonly<Record<string, string>>
  readonly timeoutSeconds: number
  /** Each line of its standard output as it comes; without it they are collected. */
  readonly onLine?: (line: string) => void
}

export interface ProgramEnd {
  /** Null: it was killed. */
  readonly exitCode: number | null
  /** What was not given to `onLine`. */
  readonly output: string
  readonly errors: string
  readonly isTimedOut: boolean
}

export type RunProgram = (call: ProgramCall, signal: AbortSignal) => Promise<ProgramEnd>

/** Interrupted, it writes its state and goes; after that long it is killed. */
const graceSeconds = 20
const charactersKept = 64 * 1024

export const runProgram: RunProgram = async (
  { argv, folder, environment = {}, timeoutSeconds, onLine },
  signal,
): Promise<ProgramEnd> => {
  const child = Bun.spawn([...argv], {
    ...(folder === undefined ? {} : { cwd: folder }),
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...environment },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  let isTimedOut = false
  let killTimer: Timer | undefined
  const end = () => {
    child.kill('SIGINT')
    killTimer ??= setTimeout(() => child.kill('SIGKILL'), graceSeconds * 1000)
  }
  const timer = setTimeout(() => {
    isTimedOut = true
    end()
  }, timeoutSeconds * 1000)
  signal.addEventListener('abort', end)
  if (signal.aborted) end()
  try {
    const [output, errors] = await Promise.all([
      onLine === undefined ? new Response(child.stdout).text() : readLines(child.stdout, onLine),
      new Response(child.stderr).text(),
    ])
    const exitCode = await child.exited
    return {
      exitCode: child.signalCode === null ? exitCode : null,
      output,
      errors: errors.slice(-charactersKept),
      isTimedOut,
    }
  } finally {
    clearTimeout(timer)
    clearTimeout(killTimer)
    signal.removeEventListener('abort', end)
  }
}

async function readLines(stream: ReadableStream<Uint8Array>, onLine: (line: string) => void): Promise<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) onLine(line)
  }
  if (rest !== '') onLine(rest)
  return ''
}
