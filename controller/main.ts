/** The controller's process: reads its environment, starts a controller, and ends it when it is told to. */

import pino from 'pino'
import { readSettings } from './settings.ts'
import { type StartedController, startController } from './start-controller.ts'

/** What is under way has this long to end; then the process ends without it, which everything survives. */
const closeSecondsMaximum = 20

const logger = pino({ level: process.env.SLUICE_LOG_LEVEL ?? 'info' })

let controller: StartedController | null = null
let isEnding = false

async function main(): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void end(signal))
  process.on('uncaughtException', (error) => {
    logger.fatal({ err: error }, 'a mistake in the program; the controller ends, to be started again')
    process.exit(1)
  })
  const startedAt = performance.now()
  controller = await startController(readSettings(process.env), logger)
  const milliseconds = Math.round(performance.now() - startedAt)
  logger.info({ urls: controller.urls, milliseconds }, 'the controller serves')
}

async function end(signal: string): Promise<void> {
  if (isEnding) return
  isEnding = true
  logger.info({ signal }, 'the controller ends')
  const timer = setTimeout(() => {
    logger.error('what was under way did not end in time')
    process.exit(1)
  }, closeSecondsMaximum * 1000)
  await controller?.close()
  clearTimeout(timer)
  process.exit(0)
}

main().catch((error: unknown) => {
  logger.fatal({ err: error }, 'the controller can not start')
  process.exit(1)
})
