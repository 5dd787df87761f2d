/** The log as go-plugin's host reads it: a JSON object in a line of standard error, shown by `TF_LOG`. */

import type { Log, LogLevel } from '../context.ts'

const levels: readonly LogLevel[] = ['trace', 'debug', 'info', 'warn', 'error']

type Environment = Readonly<Record<string, string | undefined>>

/** What nobody would be shown is not written: without `TF_LOG` that is all but warnings and errors. */
export function createLog(name: string, environment: Environment, write: (line: string) => void, now: () => Date): Log {
  const wanted = (environment.TF_LOG_PROVIDER ?? environment.TF_LOG ?? 'warn').toLowerCase()
  const least =
    wanted === 'json' ? 0 : Math.max(levels.indexOf(wanted as LogLevel), wanted === 'off' ? levels.length : 0)
  const entries = levels.map((level, index) => {
    const log: Log[LogLevel] = (message, fields = {}) => {
      if (index < least) return
      const entry = {
        ...fields,
        '@level': level,
        '@message': message,
        '@module': `provider.${name}`,
        '@timestamp': microseconds(now()),
      }
      write(`${JSON.stringify(entry)}\n`)
    }
    return [level, log] as const
  })
  return Object.fromEntries(entries) as Log
}

/** The host parses a time with just six digits after the point, and takes a line with another for plain text. */
const microseconds = (time: Date): string => time.toISOString().replace('Z', '000Z')
