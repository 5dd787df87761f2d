/** A node's process: runs one NATS server of a cluster from its folder, and ends it when it is told to. */

import pino from 'pino'
import { runNode } from '../nats/cluster/run-node.ts'

const logger = pino({ level: process.env.SLUICE_LOG_LEVEL ?? 'info' })
const folder = process.env.SLUICE_NODE_FOLDER ?? '/var/lib/sluice-node'

async function main(): Promise<void> {
  const node = await runNode({ folder, logger })
  logger.info({ node: node.name, version: node.version, ...node.status() }, 'the node runs')
  const end = async (signal: string) => {
    logger.info({ signal }, 'the node ends')
    await node.close()
    process.exit(0)
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void end(signal))
}

main().catch((error: unknown) => {
  logger.fatal({ err: error }, 'the node can not start')
  process.exit(1)
})
