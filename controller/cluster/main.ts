/**
 * Makes what the controllers and the nodes of a cluster are given, once, on one machine:
 *   bun controller/cluster/main.ts --state-folder /var/lib/sluice --out cluster \
 *     --address 198.18.0.254:7480 --device eth1 --controller control-1=198.18.0.241:7480 --controller … \
 *     node-1=198.18.0.241:4222,198.18.0.241:6222 node-2=… node-3=…
 * Each node with the address for its clients, that for the other nodes, and where it stands, if that is to be known:
 * `node-1=198.18.0.241:4222,198.18.0.241:6222,rack-a`. It ends the process.
 */

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createBearer } from '../access/tokens.ts'
import { parseAddress } from '../nats/bus-address.ts'
import { type PlannedNode, prepareCluster } from '../nats/cluster/prepare-cluster.ts'
import { readFileOrNull, secretMode, writeDurableFile } from '../nats/durable-file.ts'
import { type FrontController, renderFrontHaproxy, renderFrontKeepalived } from './render-front.ts'

const monitor = '127.0.0.1:7479'
const usage = `say where the folders go and which nodes there are:
  bun controller/cluster/main.ts --out cluster node-1=198.18.0.241:4222,198.18.0.241:6222 node-2=… node-3=…`

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: {
      'state-folder': { type: 'string', default: '/var/lib/sluice' },
      out: { type: 'string' },
      address: { type: 'string' },
      device: { type: 'string', default: 'eth0' },
      controller: { type: 'string', multiple: true, default: [] },
    },
    allowPositionals: true,
  })
  const { out, address, device } = values
  if (out === undefined || positionals.length === 0) throw new Error(usage)
  const stateFolder = values['state-folder']
  const nodes = positionals.map(parseNode)
  const controllers = values.controller.map(parseController)
  await prepareCluster({ controllerFolder: stateFolder, nodesFolder: join(out, 'nodes'), nodes, now: Date.now() })
  await ensureAdminToken(stateFolder)
  console.log(`for all controllers, the same: ${stateFolder}/nats and ${stateFolder}/admin-token`)
  for (const { name } of nodes) console.log(`for ${name} alone: ${out}/nodes/${name}`)
  if (address === undefined) return
  parseAddress(address, 'the address of the controllers')
  for (const { name } of controllers) {
    const folder = join(out, 'fronts', name)
    const plan = { address, device, controllers, own: name, monitor }
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, 'haproxy.cfg'), renderFrontHaproxy(plan))
    await writeFile(join(folder, 'keepalived.conf'), renderFrontKeepalived(plan), { mode: 0o600 })
    console.log(`for the machine of ${name}: ${folder}`)
  }
}

/** All controllers are given the same, so that none of them makes another. */
async function ensureAdminToken(stateFolder: string): Promise<void> {
  const file = join(stateFolder, 'admin-token')
  if (((await readFileOrNull(file)) ?? '').trim() !== '') return
  const random = (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes))
  await writeDurableFile(file, `${createBearer({ now: Date.now, random })}\n`, secretMode)
}

function parseNode(text: string): PlannedNode {
  const [, name, listen, clusterListen, location] = /^([^=]+)=([^,]+),([^,]+)(?:,([^,]+))?$/.exec(text) ?? []
  if (name === undefined || listen === undefined || clusterListen === undefined) {
    throw new Error(`'${text}' is no node: give it as node-1=198.18.0.241:4222,198.18.0.241:6222`)
  }
  return { name, listen, clusterListen, ...(location === undefined ? {} : { location }) }
}

function parseController(text: string): FrontController {
  const [, name, listen] = /^([^=]+)=([^,=]+)$/.exec(text) ?? []
  if (name === undefined || listen === undefined) {
    throw new Error(`'${text}' is no controller: give it as control-1=198.18.0.241:7480`)
  }
  parseAddress(listen, `the address of ${name}`)
  return { name, listen }
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
})
