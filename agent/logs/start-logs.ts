/** Puts the room of logs together for one host, and has it collect and send what is new, again and again. */

import { existsSync, readFileSync } from 'node:fs'
import type { AgentSettings } from '../contract/enrolment.ts'
import { executeFileOperation, giveBackHead } from '../operations/files.ts'
import { askHaproxy } from '../operations/haproxy-socket.ts'
import { runCommand } from '../operations/run-command.ts'
import type { PublishLogs } from './log-buffer.ts'
import { createLogRoom, type LogRoom } from './log-room.ts'

export interface StartedLogs {
  readonly room: LogRoom
  stop(): void
}

/** How soon what an instance says is on its way. */
const flushMilliseconds = 500

export function startLogs({
  settings: { host, runFolder },
  publish,
  log,
}: {
  readonly settings: AgentSettings
  readonly publish: PublishLogs
  readonly log: (fields: Record<string, unknown>, message: string) => void
}): StartedLogs {
  const path = `${runFolder}/log-positions.json`
  const room = createLogRoom({
    host,
    runFolder,
    ask: askHaproxy,
    publish,
    readPositions: () => (existsSync(path) ? readFileSync(path, 'utf8') : undefined),
    savePositions: (content) => executeFileOperation({ kind: 'writeFile', path, content }),
    giveBackHead: async (file, bytes) => {
      const failure = await giveBackHead(runCommand, file, bytes)
      if (failure !== undefined) log({ file, failure }, 'the room of what was read could not be given back')
    },
    now: () => performance.now(),
    clock: Date.now,
  })
  let timer: ReturnType<typeof setTimeout> | undefined
  let isStopped = false
  // One after the other, with a rest between them: the bus may take its time.
  const flush = async () => {
    await room.flush().catch((error: unknown) => {
      log({ error: String(error) }, 'what instances say could not be collected; it is tried again')
    })
    if (!isStopped) timer = setTimeout(() => void flush(), flushMilliseconds)
  }
  void flush()
  return {
    room,
    stop() {
      isStopped = true
      clearTimeout(timer)
      room.close()
    },
  }
}
