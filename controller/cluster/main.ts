/**
 * Makes the folders that the controllers and the nodes of a cluster are given:
 *   bun controller/cluster/main.ts --state-folder /var/lib/sluice --out nodes \
 *     node-1=198.18.0.241:4222,198.18.0.241:6222 node-2=… node-3=…
 * Each node with the address for its clients and that for the other nodes. It ends the process.
 */

import { parseArgs } from 'node:util'
import { type PlannedNode, prepareCluster } from '../nats/cluster/prepare-cluster.ts'

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { 'state-folder': { type: 'string', default: '/var/lib/sluice' }, out: { type: 'string' } },
    allowPositionals: true,
  })
  if (values.out === undefined || positionals.length === 0) {
    throw new Error(
      'say where the folders of the nodes go, and which nodes there are: --out nodes node-1=198.18.0.241:4222,198.18.0.241:6222 …',
    )
  }
  const nodes = positionals.map(parseNode)
  await prepareCluster({
    controllerFolder: values['state-folder'],
    nodesFolder: values.out,
    nodes,
    now: Date.now(),
  })
  console.log(`keys for all controllers: ${values['state-folder']}/nats`)
  for (const { name } of nodes) console.log(`for ${name} alone: ${values.out}/${name}`)
}

function parseNode(text: string): PlannedNode {
  const [, name, listen, clusterListen] = /^([^=]+)=([^,]+),([^,]+)$/.exec(text) ?? []
  if (name === undefined || listen === undefined || clusterListen === undefined) {
    throw new Error(`'${text}' is no node: give it as node-1=198.18.0.241:4222,198.18.0.241:6222`)
  }
  return { name, listen, clusterListen }
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
})
