/**
 * Balancers with names for a bench: a store in memory with so many of them, hosts that say what they are told to say, and
 * the controller's own loop over the names. Starts nothing but that loop.
 */

import pino from 'pino'
import { createMemoryStore } from '../../controller/control-plane/memory-store.ts'
import { createClientId, createId } from '../../controller/control-plane/shard-key.ts'
import { type Store, type Write, write } from '../../controller/control-plane/store.ts'
import { createNamesKeeper } from '../../controller/names/keep-names.ts'
import { createNameServer, type NameServer } from '../../controller/names/name-server.ts'
import { startNamesLoop } from '../../controller/names/names-loop.ts'
import { parseTsigKey } from '../../controller/names/wire/tsig-key.ts'
import {
  hostKind,
  instanceKind,
  loadBalancerKind,
  loadBalancerSlotsKind,
  projectKind,
  systemClient,
} from '../../controller/objects.ts'
import { createObservedHosts } from '../../controller/observed/observed-hosts.ts'
import { makeTestReport } from '../../controller/test-rack.ts'
import type { KnotServer } from '../../test/names/knot-server.ts'

export interface NamedBalancer {
  readonly dnsName: string
  readonly vips: readonly [string, string]
  readonly instanceIds: readonly [string, string]
}

export interface NamesGround {
  readonly balancers: readonly NamedBalancer[]
  /** Both hosts say what they hold; the second one without this VIP. */
  report(without: string | null): void
  startLoop(): void
  close(): Promise<void>
}

const ofProject = 100
const random = (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes))
const hostNames = ['host-1', 'host-2'] as const
const writesMaximum = 100

export function dialKnot(knot: KnotServer): NameServer {
  const parsed = parseTsigKey(knot.key)
  if (parsed.kind === 'malformed') throw new Error(parsed.reason)
  const settings = {
    zone: knot.zone,
    address: '127.0.0.1',
    port: knot.port,
    key: parsed.key,
    timeoutMilliseconds: 5000,
  }
  return createNameServer(settings, { now: Date.now, random })
}

export async function createNamesGround(knot: KnotServer, count: number): Promise<NamesGround> {
  const store = createMemoryStore({ now: Date.now, random })
  const observed = createObservedHosts({ now: Date.now })
  const hostIds = await Promise.all(hostNames.map((name) => writeHost(store, name)))
  const balancers: NamedBalancer[] = []
  for (let from = 0; from < count; from += ofProject) {
    const slug = `p${from / ofProject}`
    const projectId = await writeProject(store, slug)
    for (let i = from; i < Math.min(count, from + ofProject); i++) {
      balancers.push(await writeBalancer(store, { projectId, slug, zone: knot.zone, number: i, hostIds }))
    }
  }
  const server = dialKnot(knot)
  const names = { zone: knot.zone, ttlSeconds: 10, sweepSeconds: 30, owner: 'bench' }
  const logger = pino({ level: 'silent' })
  const keeper = createNamesKeeper({ store, observed, now: Date.now, random, logger }, server, names)
  let loop: ReturnType<typeof startNamesLoop> | null = null
  return {
    balancers,
    report(without) {
      for (const [i, host] of hostNames.entries()) {
        const instances = balancers.map(({ vips, instanceIds }) => ({
          id: instanceIds[i] ?? '',
          generation: 1,
          status: 'converged' as const,
          haproxy: 'running' as const,
          keepalived: 'running' as const,
          serving: true,
          heldVips: vips.slice(i, i + 1).filter((vip) => vip !== without),
          members: { 'member:80': 'healthy' as const },
        }))
        const fault = observed.accept(host, JSON.stringify({ ...makeTestReport(host, undefined, () => []), instances }))
        if (fault !== null) throw new Error(fault)
      }
    },
    startLoop() {
      loop = startNamesLoop({ keeper, store, observed })
    },
    async close() {
      server.close()
      await loop?.close()
    },
  }
}

async function put(store: Store, writes: readonly Write[]): Promise<void> {
  for (let from = 0; from < writes.length; from += writesMaximum) {
    const outcome = await store.transact({ writes: writes.slice(from, from + writesMaximum) })
    if (outcome.outcome !== 'committed') throw new Error(`the ground could not be written: ${outcome.outcome}`)
  }
}

async function writeHost(store: Store, name: string): Promise<string> {
  const id = createId(hostKind.prefix, systemClient, Date.now(), random)
  const joinedAt = new Date().toISOString()
  const value = { name, maintenance: false, labels: {}, underlayAddress: '198.18.0.1', publicKey: 'U', joinedAt }
  await put(store, [write({ kind: hostKind, id, expect: 'absent', value })])
  return id
}

async function writeProject(store: Store, slug: string): Promise<string> {
  const id = createClientId(projectKind.prefix, Date.now(), random)
  const quota = { pools: 20, shards: 200, networks: 50, machines: 500, loadBalancers: ofProject }
  const value = { name: slug, user: 'bench', slug, quota }
  await put(store, [write({ kind: projectKind, id, expect: 'absent', value })])
  return id
}

async function writeBalancer(
  store: Store,
  {
    projectId,
    slug,
    zone,
    number,
    hostIds,
  }: {
    readonly projectId: string
    readonly slug: string
    readonly zone: string
    readonly number: number
    readonly hostIds: readonly string[]
  },
): Promise<NamedBalancer> {
  const id = createId(loadBalancerKind.prefix, projectId, Date.now(), random)
  const name = `web-${number}`
  const vips = [2 * number, 2 * number + 1].map((n) => `198.19.${n >> 8}.${n & 255}`) as [string, string]
  const instanceIds = vips.map(() => createId(instanceKind.prefix, projectId, Date.now(), random)) as [string, string]
  const networkId = 'net_bench'
  const balancer = {
    name,
    projectId,
    networkId,
    trafficType: 'http' as const,
    algorithm: 'round-robin' as const,
    listeners: [{ port: 80 }],
    members: [],
    healthCheck: {
      protocol: 'tcp' as const,
      intervalSeconds: 5,
      timeoutSeconds: 5,
      healthyThreshold: 2,
      unhealthyThreshold: 2,
    },
    timeouts: {},
    forwardedFor: true,
    instanceCount: 2,
    autoScaling: false as const,
  }
  const slots = vips.map((vip, i) => ({ slot: i + 1, vip, instanceId: instanceIds[i] ?? null }))
  await put(store, [
    write({ kind: loadBalancerKind, id, expect: 'absent', value: balancer }),
    write({ kind: loadBalancerSlotsKind, id, expect: 'absent', value: { slots } }),
    ...instanceIds.map((instanceId, i) =>
      write({
        kind: instanceKind,
        id: instanceId,
        expect: 'absent',
        value: {
          loadBalancerId: id,
          projectId,
          networkId,
          slot: i + 1,
          hostId: hostIds[i] ?? '',
          driver: 'netns' as const,
          uplinkAddress: '198.18.32.2',
          networkAddress: '198.18.16.2',
          networkShardId: 'shd_bench',
        },
      }),
    ),
  ])
  return { dnsName: `${name}.${slug}.${zone}`, vips, instanceIds }
}
