/**
 * Makes what the controllers and the nodes of a cluster are given: one folder for all controllers, with the keys by which
 * the bus knows everybody, and one for each node. The folder of a controller that has run alone will do: then its hosts
 * stay joined. It writes those folders and touches nothing else.
 */

import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { encodeAccountTokens, encodeOperatorToken } from '../accounts.ts'
import { parseAddress } from '../bus-address.ts'
import { openBusAuthority } from '../certificates.ts'
import { openIdentity } from '../identity.ts'
import { busNameOf } from '../nats-server.ts'
import { openRevocations } from '../revocations.ts'
import { writeNodePapers } from './node-papers.ts'

export interface ClusterPlan {
  /** Of the controllers: `nats/` in it holds the keys. */
  readonly controllerFolder: string
  /** Gets a folder for each node. */
  readonly nodesFolder: string
  readonly nodes: readonly PlannedNode[]
  /** Milliseconds since the epoch. */
  readonly now: number
}

export interface PlannedNode {
  readonly name: string
  /** Where controllers and agents reach it, e.g. `198.18.0.241:4222`. */
  readonly listen: string
  /** Where the other nodes reach it, e.g. `198.18.0.241:6222`. */
  readonly clusterListen: string
  /** Where it stands: `rack-a`. Left out: it is told to nobody. */
  readonly location?: string
}

/** Nothing is written where the plan is wrong. May be repeated: then the nodes get new certificates. */
export async function prepareCluster(plan: ClusterPlan): Promise<void> {
  const faults = findFaults(plan.nodes)
  if (faults.length > 0) throw new Error(faults.join('\n'))
  const folder = join(plan.controllerFolder, 'nats')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await chmod(folder, 0o700)
  const identity = await openIdentity(folder)
  const authority = await openBusAuthority(folder, plan.now)
  const revocations = await openRevocations(folder)
  const operatorToken = await encodeOperatorToken(identity)
  const accounts = await encodeAccountTokens(identity, revocations.current())
  const systemAccount = identity.accounts.system.getPublicKey()
  for (const { name, listen, clusterListen, location = null } of plan.nodes) {
    const names = [listen, clusterListen].map((address) => parseAddress(address, `an address of ${name}`).host)
    const issued = await authority.issueNode([...new Set(['127.0.0.1', ...names])])
    const routes = plan.nodes.filter((other) => other.name !== name).map((other) => other.clusterListen)
    const papers = { name, listen, clusterListen, location, routes, operatorToken, systemAccount, accounts }
    await writeNodePapers(
      join(plan.nodesFolder, name),
      { format: 1, clusterName: busNameOf(systemAccount), ...papers },
      { caCertificate: authority.caCertificate, ...issued },
    )
  }
}

const nodesMaximum = 7
const nameForm = /^[a-z0-9][a-z0-9-]{0,30}$/

/** What is wrong with a list of nodes, each with what to do. Pure. */
export function findFaults(nodes: readonly PlannedNode[]): readonly string[] {
  const faults: string[] = []
  if (nodes.length % 2 === 0) {
    faults.push(
      `a cluster of ${nodes.length} NATS servers survives no more losses than one of ${Math.max(1, nodes.length - 1)}, ` +
        'as more than half of them must agree: name an odd number, 3 for one loss or 5 for two',
    )
  }
  if (nodes.length > nodesMaximum) faults.push(`${nodes.length} NATS servers are more than ${nodesMaximum}: name fewer`)
  const addresses = nodes.flatMap(({ listen, clusterListen }) => [listen, clusterListen])
  for (const [what, values] of [
    ['name', nodes.map(({ name }) => name)],
    ['address', addresses],
  ] as const) {
    const twice = values.filter((value, i) => values.indexOf(value) !== i)
    for (const value of new Set(twice)) faults.push(`the ${what} ${value} is given twice: each must have its own`)
  }
  for (const { name, location } of nodes) {
    if (!nameForm.test(name)) {
      faults.push(`'${name}' can't name a node: use small letters, digits and hyphens, as node-1`)
    }
    if (location !== undefined && !nameForm.test(location)) {
      faults.push(`'${location}' can't name the location of ${name}: use small letters, digits and hyphens, as rack-a`)
    }
  }
  return faults
}
