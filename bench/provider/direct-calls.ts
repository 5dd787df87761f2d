/** The same objects by calls of the API and nothing else, as many at once as the CLI makes. */

import * as v from 'valibot'
import type { Api } from '../system/api.ts'
import { poolCidr, quota, shardAddresses } from './configurations.ts'

/** The CLI's own default. */
const atOnce = 10

const madeSchema = v.object({ id: v.string() })

export interface Declared {
  /** Seconds from the first call to the last answer, with every balancer active. */
  readonly createSeconds: number
  /** Of reading each object once. */
  readonly readSeconds: number
  /** Takes them away. */
  remove(): Promise<void>
}

export async function declareDirectly(api: Api, balancers: number): Promise<Declared> {
  const paths: string[] = []
  const attachments: string[] = []
  const create = async (noun: string, body: unknown) => {
    const { id } = await api.call(madeSchema, 'POST', `/v1/${noun}?wait=true&timeout=60s`, body)
    paths.push(`/v1/${noun}/${id}`)
    return id
  }
  const begun = performance.now()
  const projectId = await create('projects', { name: 'direct', user: 'bench', quota })
  const poolId = await create('pools', { name: 'direct', projectId, cidr: poolCidr })
  await inTurns(balancers, async (index) => {
    const networkId = await create('networks', { name: `network-${index}`, projectId })
    const shardId = await create('shards', { name: `shard-${index}`, poolId, sizeAddresses: shardAddresses })
    const attachment = `/v1/networks/${networkId}/shards/${shardId}`
    await api.call(v.unknown(), 'POST', attachment, {})
    attachments.push(attachment)
    await create('load-balancers', {
      name: `balancer-${index}`,
      projectId,
      networkId,
      trafficType: 'http',
      listeners: [{ port: 80 }],
      members: [{ address: '10.64.0.200', port: 80 }],
    })
  })
  const made = performance.now()
  await inTurns(paths.length, async (index) => {
    await api.call(v.unknown(), 'GET', paths[index] ?? '')
  })
  const read = performance.now()
  return {
    createSeconds: (made - begun) / 1000,
    readSeconds: (read - made) / 1000,
    async remove() {
      const of = (noun: string) => paths.filter((path) => path.startsWith(`/v1/${noun}/`))
      // What is on a network first, then its shards, and at last what all were made of.
      for (const own of [
        of('load-balancers'),
        attachments,
        of('networks'),
        of('shards'),
        of('pools'),
        of('projects'),
      ]) {
        await inTurns(own.length, async (index) => {
          await api.call(v.unknown(), 'DELETE', `${own[index]}?wait=true&timeout=60s`)
        })
      }
    },
  }
}

async function inTurns(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async () => {
    for (let index = next++; index < count; index = next++) await work(index)
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, worker))
}
