/** Runs one node from its folder: a nats-server of the cluster, kept running. It owns that folder and that process. */

import type { Logger } from 'pino'
import { localAddress, parseAddress } from '../bus-address.ts'
import { takeFolder } from '../bus-owner.ts'
import { type NatsServer, startNatsServer } from '../nats-server.ts'
import { nodeFiles, readNodePapers } from './node-papers.ts'

/** Resolves once the server answers; whether the cluster has enough of them is for its clients to see. */
export async function runNode(options: {
  readonly folder: string
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>
  /** Another build of nats-server. */
  readonly program?: string
}): Promise<NatsServer & { readonly name: string }> {
  const { folder, logger } = options
  const papers = await readNodePapers(folder)
  await takeFolder(folder)
  const files = nodeFiles(folder)
  const server = await startNatsServer({
    folder,
    listen: papers.listen,
    local: localAddress(parseAddress(papers.listen, `the address of ${papers.name}`)),
    operatorToken: papers.operatorToken,
    systemAccount: papers.systemAccount,
    accountTokens: async () => papers.accounts,
    certificateFile: files.certificate,
    keyFile: files.key,
    logger,
    cluster: {
      name: papers.clusterName,
      nodeName: papers.name,
      location: papers.location,
      listen: papers.clusterListen,
      routes: papers.routes,
      caFile: files.ca,
    },
    ...(options.program === undefined ? {} : { program: options.program }),
  })
  return { ...server, name: papers.name }
}
