/** Runs the lab's commands, each marked as the lab's own. The one place of this room that waits for a program to end. */

import { markOf, markVariable } from './settings.ts'

export type CommandResult = { readonly exitCode: number; readonly stdout: string; readonly stderr: string }

/** Runs argv to its end, with `input` on its standard input. */
export type Run = (argv: readonly string[], input?: string) => Promise<CommandResult>

/** Longer than any step of the lab takes on a busy machine; a command that hangs must not hang the lab. */
const commandTimeoutSeconds = 30

/** A `Run` whose processes carry the lab's mark, so that a command that outlives a killed `lab up` is found and ended. */
export function commandRunner(labName: string): Run {
  return async (argv, input) => {
    const child = Bun.spawn([...argv], {
      stdin: input === undefined ? 'ignore' : new Blob([input]),
      stdout: 'pipe',
      stderr: 'pipe',
      env: labEnvironment(labName),
      timeout: commandTimeoutSeconds * 1000,
      killSignal: 'SIGKILL',
    })
    const [stdout, stderr, exitCode] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ])
    return { exitCode, stdout, stderr }
  }
}

/** Runs a command that must succeed; throws with the command, its exit code and what it said. */
export async function must(run: Run, argv: readonly string[], input?: string): Promise<string> {
  const result = await run(argv, input)
  if (result.exitCode === 0) return result.stdout
  const said = `${result.stderr}\n${result.stdout}`.trim()
  throw new Error(`\`${argv.join(' ')}\` ended with ${result.exitCode}${said === '' ? '' : `: ${said}`}`)
}

/** What a process of the lab gets to see: as little as a freshly booted machine's services. */
export function labEnvironment(labName: string): Record<string, string> {
  return {
    PATH: searchPath(),
    HOME: '/root',
    LANG: 'C.UTF-8',
    [markVariable]: markOf(labName),
  }
}

/** Where programs are looked for: a plain user's PATH lacks the folders that haproxy and ip are in. */
export function searchPath(): string {
  return [process.env.PATH, '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'].filter(Boolean).join(':')
}
