/**
 * What the system's tests do from outside: ask the controller as any program does, run `sluice`, and send requests from
 * the lab's client. Decides nothing about the answers.
 */

import { apiUrl, enterArgv, type LabSettings, loopbackUrl, openLab, readAdminToken } from '../../lab/lab.ts'

export const repository = new URL('../..', import.meta.url).pathname

export interface Answer {
  readonly status: number
  readonly headers: Headers
  /** Parsed; undefined where there is none. */
  readonly body: unknown
}

export interface Asking {
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly token?: string
}

export type Ask = (method: string, path: string, asking?: Asking) => Promise<Answer>

const askTimeoutMilliseconds = 90_000

/** Rejects only where no answer comes. A body that is text is sent as it is. */
export function createAsk(token: string, url: string = loopbackUrl): Ask {
  return async (method, path, asking = {}) => {
    const { body } = asking
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${asking.token ?? token}`,
        'content-type': 'application/json',
        ...asking.headers,
      },
      signal: AbortSignal.timeout(askTimeoutMilliseconds),
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) }
  }
}

export interface Finished {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

export interface Outside {
  readonly ask: Ask
  /** Runs `sluice` as somebody at a shell of this machine does. */
  sluice(argv: readonly string[], options?: { readonly folder?: string }): Promise<Finished>
  environment(): Record<string, string>
  /** Runs a program on a host, or on `client`. */
  on(where: string, ...command: readonly string[]): Promise<Finished>
  /** The lines answered to so many requests from the client, one connection each; empty texts where some failed. */
  askMany(url: string, times: number): Promise<readonly string[]>
}

export function createOutside(settings: LabSettings): Outside {
  const environment = () => ({
    PATH: process.env.PATH ?? '',
    HOME: process.env.HOME ?? '/root',
    SLUICE_ADDR: apiUrl(settings),
    SLUICE_TOKEN: readAdminToken(settings),
    SLUICE_LAB: settings.name,
    ...(process.env.SLUICE_LAB_DISKS === undefined ? {} : { SLUICE_LAB_DISKS: process.env.SLUICE_LAB_DISKS }),
  })
  const on = async (where: string, ...command: readonly string[]) => {
    const lab = openLab(settings)
    return await lab.run(enterArgv(lab, where, command))
  }
  return {
    ask: createAsk(readAdminToken(settings), apiUrl(settings)),
    environment,
    on,
    sluice: (argv, options = {}) =>
      finish([process.execPath, `${repository}cli/main.ts`, ...argv], options.folder ?? repository, environment()),
    async askMany(url, times) {
      const options = ['--silent', '--fail', '--max-time', '5', '--header', 'Connection: close']
      const { stdout } = await on('client', 'curl', ...options, `${url}?[1-${times}]`)
      const answers = stdout.split('\n').filter((line) => line !== '')
      return Array.from({ length: times }, (_, time) => answers[time] ?? '')
    },
  }
}

export async function finish(
  argv: readonly string[],
  folder: string,
  environment: Readonly<Record<string, string>>,
): Promise<Finished> {
  const child = Bun.spawn([...argv], { cwd: folder, env: environment, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { exitCode, stdout, stderr }
}
