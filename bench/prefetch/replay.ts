/** Makes the ground, and replays requests on it one after the other, each by its own user. Speaks HTTP. */

import * as v from 'valibot'
import { prefetchSchema } from '../../controller/contract/prefetch.ts'
import { createApi } from '../system/api.ts'
import type { ControllerProcess } from './controller-process.ts'
import type { Ground, ReplayStep } from './plan-replay.ts'

export interface Replayed {
  /** Of the reads that are not answered out of memory anyway, in milliseconds, as their reader sees it. */
  readonly slow: readonly number[]
  readonly fast: readonly number[]
  readonly renames: readonly number[]
  /** Of the slow ones: where they came from, by what they were told. */
  readonly words: Readonly<Record<string, number>>
  /** The greatest age that a reader was told of. */
  readonly oldestMilliseconds: number
  readonly reads: v.InferOutput<typeof prefetchSchema>['reads']
  readonly cpuSeconds: number
  readonly residentMebibytes: number
}

const objectSchema = v.object({ id: v.string() })
const tokenSchema = v.object({ id: v.string(), token: v.string() })
const objectsOfKind = 8
/** So that a history is as long as it gets. */
const renamesOfEach = 16

export async function makeGround({ url, token }: ControllerProcess): Promise<Ground> {
  const api = createApi(url, token)
  const make = async (path: string, body: unknown) => (await api.call(objectSchema, 'POST', path, body)).id
  const projectId = await make('/v1/projects', { name: 'bench', user: 'bench' })
  const [networkIds, poolIds, shardIds]: [string[], string[], string[]] = [[], [], []]
  for (let i = 0; i < objectsOfKind; i++) {
    const networkId = await make('/v1/networks', { name: `network-${i}`, projectId })
    const poolId = await make('/v1/pools', { name: `pool-${i}`, projectId, cidr: `10.${i}.0.0/16` })
    shardIds.push(await make('/v1/shards', { poolId, networkId, sizeAddresses: 256 }))
    networkIds.push(networkId)
    poolIds.push(poolId)
  }
  for (const path of [
    `projects/${projectId}`,
    ...networkIds.map((id) => `networks/${id}`),
    ...poolIds.map((id) => `pools/${id}`),
  ]) {
    for (let i = 0; i < renamesOfEach; i++) {
      await api.call(v.unknown(), 'PATCH', `/v1/${path}`, { name: `${path.slice(-6)}-${i}` })
    }
  }
  return { projectId, networkIds, poolIds, shardIds }
}

export async function replay(controller: ControllerProcess, steps: readonly ReplayStep[]): Promise<Replayed> {
  const tokens = new Map<string, string>()
  const admin = createApi(controller.url, controller.token)
  for (const user of new Set(steps.map((step) => step.user))) {
    tokens.set(user, (await admin.call(tokenSchema, 'POST', '/v1/tokens', { name: user })).token)
  }
  const [slow, fast, renames]: [number[], number[], number[]] = [[], [], []]
  const words: Record<string, number> = {}
  let oldestMilliseconds = 0
  const cpuBefore = controller.cpuSeconds()
  for (const [i, { user, waitMilliseconds, request }] of steps.entries()) {
    await Bun.sleep(waitMilliseconds)
    const beganAt = performance.now()
    const response = await fetch(`${controller.url}${pathOf(request)}`, describeRequest(request, tokens.get(user), i))
    await response.text()
    const took = performance.now() - beganAt
    if (!response.ok) throw new Error(`${pathOf(request)} was answered ${response.status}`)
    if (request.kind === 'rename') renames.push(took)
    else if (!request.isSlow) fast.push(took)
    else {
      slow.push(took)
      const { word, ageMilliseconds } = readTiming(response.headers.get('server-timing'))
      words[word] = (words[word] ?? 0) + 1
      oldestMilliseconds = Math.max(oldestMilliseconds, ageMilliseconds)
    }
  }
  const cpuSeconds = controller.cpuSeconds() - cpuBefore
  const { reads } = await admin.call(prefetchSchema, 'GET', '/v1/prediction/prefetch')
  const residentMebibytes = controller.residentMebibytes()
  return { slow, fast, renames, words, oldestMilliseconds, reads, cpuSeconds, residentMebibytes }
}

const pathOf = (request: ReplayStep['request']) =>
  request.kind === 'read' ? request.path : `/v1/networks/${request.networkId}`

function describeRequest(request: ReplayStep['request'], token: string | undefined, turn: number): RequestInit {
  const headers = { authorization: `Bearer ${token ?? ''}`, 'content-type': 'application/json' }
  if (request.kind === 'read') return { headers }
  return { method: 'PATCH', headers, body: JSON.stringify({ name: `${request.networkId.slice(-6)}-again-${turn}` }) }
}

function readTiming(header: string | null): { readonly word: string; readonly ageMilliseconds: number } {
  const word = /cache;desc=(\w+)/.exec(header ?? '')?.[1] ?? 'off'
  return { word, ageMilliseconds: Number(/age;dur=(\d+)/.exec(header ?? '')?.[1] ?? 0) }
}
