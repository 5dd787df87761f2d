/**
 * Starts a whole controller: the bus, the store on it, the loops, the API; and ends it in the opposite order. Everything
 * that it opens it closes.
 */

import { mkdir } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import type { Logger } from 'pino'
import packageJson from '../package.json' with { type: 'json' }
import { createProjectsService } from './access/projects.ts'
import { resumeProjectRemovals } from './access/remove-project.ts'
import {
  admitAdminBearer,
  createBearer,
  createTokensService,
  type EventCredentialsIssuer,
  resumeTokenRemovals,
} from './access/tokens.ts'
import { createApi } from './app.ts'
import { assembleController } from './assemble.ts'
import { rememberNodes, type StoreNode } from './control-plane/directory/nodes.ts'
import { readEvents } from './control-plane/events.ts'
import { type JetStreamStore, openJetStreamStore } from './control-plane/jetstream-store.ts'
import { type Leases, whenAborted } from './control-plane/leases/lease.ts'
import { openLeaseBucket } from './control-plane/leases/lease-bucket.ts'
import { openLeases } from './control-plane/leases/leases.ts'
import { dataTypeOfAction } from './control-plane/lifecycle/action-data-type.ts'
import { openLifecycle } from './control-plane/lifecycle/open-lifecycle.ts'
import { listEvents } from './control-plane/list-events.ts'
import { findMicroshard } from './control-plane/microshard-directory.ts'
import { startOutboxRelay } from './control-plane/outbox-relay.ts'
import { createActionQueue } from './control-plane/writes/action-queue.ts'
import { createOwnerBus } from './control-plane/writes/owner-bus.ts'
import { createOwnerRouting, type OwnerRouting } from './control-plane/writes/owner-routing.ts'
import { type DividedWork, divideWork, runLoop } from './divided-work.ts'
import { createHostsService } from './hosts/hosts.ts'
import { openHypervisors } from './hypervisor/open-hypervisors.ts'
import { readStateKeys } from './hypervisor/state/state-keys.ts'
import { createStates } from './hypervisor/state/states.ts'
import { createMeasuresFollower, keepFollowing } from './load-balancing/scaling/follow-measures.ts'
import { createNamesKeeper } from './names/keep-names.ts'
import { createNameServer } from './names/name-server.ts'
import { startNamesLoop } from './names/names-loop.ts'
import { readKeyFile } from './names/read-settings.ts'
import { type Bus, openBus } from './nats/bus.ts'
import { patiently } from './nats/cluster/patience.ts'
import type { ListedServer } from './nats/cluster/server-list.ts'
import { readFileOrNull, secretMode, writeDurableFile } from './nats/durable-file.ts'
import * as objects from './objects.ts'
import { openCollectdEntry, readCollectdFile, sendToStream } from './observed/collectd/collectd-entry.ts'
import { openLogs } from './observed/logs/open-logs.ts'
import { openMetricsRoom } from './observed/metrics/metrics-room.ts'
import { tellCulprits } from './observed/metrics/tell-culprits.ts'
import { createObservedHosts } from './observed/observed-hosts.ts'
import { watchReports } from './observed/watch-reports.ts'
import { monitorStore } from './prediction/monitoring/monitored-store.ts'
import { openLifecycleManager } from './prediction/policies/open-lifecycle-manager.ts'
import { openPrefetch, type PrefetchRoom } from './prediction/prefetch/open-prefetch.ts'
import { createControlPlaneService } from './presence/control-plane-service.ts'
import { keepPresence } from './presence/presence-loop.ts'
import { createInstructionsBus } from './reconcile/instructions-bus.ts'
import { startReconcileLoop } from './reconcile/reconcile-loop.ts'
import { keepSweeping } from './reconcile/sweep-loop.ts'
import { actionTypes } from './routes/action-types.ts'
import type { EventReader } from './routes/event-routes.ts'
import { plainAnswer } from './routes/perform-route.ts'
import type { Answer } from './routes/route.ts'
import { serve } from './serve.ts'
import type { ControllerContext, Services } from './services.ts'
import type { ProcessSettings } from './settings.ts'

/** For each message of an answer: a server in the same rack answers within a few milliseconds. */
const nameServerTimeoutMilliseconds = 2000

export interface StartedController {
  /** Where it listens. */
  readonly urls: readonly string[]
  /** Finishes what is under way, and ends the bus with it. */
  close(): Promise<void>
}

export async function startController(settings: ProcessSettings, logger: Logger): Promise<StartedController> {
  const closers: (() => unknown)[] = []
  const close = async () => {
    for (const end of closers.splice(0).reverse()) await end()
  }
  try {
    const urls = await open(settings, logger, closers)
    return { urls, close }
  } catch (cause) {
    await close()
    throw cause
  }
}

/** `closers` are called last first. */
async function open(settings: ProcessSettings, logger: Logger, closers: (() => unknown)[]): Promise<readonly string[]> {
  const { stateFolder, natsListen, natsAdvertise, natsServers } = settings
  await mkdir(stateFolder, { recursive: true, mode: 0o700 })
  const servers = natsServers.length === 0 ? {} : { servers: natsServers }
  const bus = await openBus({ stateFolder, listen: natsListen, advertise: natsAdvertise, logger, ...servers })
  closers.push(() => bus.close())
  const { connection, replicas } = bus
  const firstNodes = async () => (await bus.listServers()).map(({ node }) => node)
  const kept = await patiently(() => openJetStreamStore({ connection, logger, replicas, firstNodes }))
  closers.push(() => kept.close())
  const leases = await openControllerLeases(bus, settings, logger)
  closers.push(() => leases.close())
  const work = divideWork(leases, logger)
  work.add('events', async (signal) => {
    const relay = await startOutboxRelay({ connection, logger, replicas })
    await runLoop({ close: () => relay.stop() }, signal)
  })
  const nodes = rememberNodes({ list: async () => (await bus.listServers()).map(describeNode) }, () =>
    performance.now(),
  )
  const lifecycle = openLifecycle({
    store: kept,
    connections: [connection, bus.hostsConnection],
    replicas,
    logger,
    nodes,
    dataTypeOf: (action) => actionTypes[action]?.kind.dataType ?? dataTypeOfAction(action, kinds),
  })
  work.add('microshards', (signal) => lifecycle.drive(signal))
  const room = openLifecycleManager({
    store: kept,
    connection,
    microshards: lifecycle.service,
    nodes,
    measureServers: bus.measureServers,
    controller: leases.holder,
    location: settings.location,
    logger,
    now: Date.now,
  })
  closers.push(() => room.close())
  work.add('lifecycle', (signal) => room.manager.run(signal))
  // From here on, what is read and written is counted.
  const store = monitorStore(kept, { counts: room.counts, now: () => performance.now() })
  const observed = createObservedHosts({ now: Date.now })
  closers.push(watchReports({ connection: bus.hostsConnection, inbox: observed, logger }))

  // What wakes the loop, while this controller has it.
  let wake = () => {}
  const random = (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes))
  const sleep = (milliseconds: number) => Bun.sleep(milliseconds)
  const context: ControllerContext = {
    store,
    actions: createActionQueue({ store, now: () => performance.now(), random, sleep }),
    now: Date.now,
    random,
    sleep,
    logger,
    observed,
    settings: { ...settings.controller, secret: bus.deriveSecret('appliances') },
    wake: () => wake(),
  }
  const assembled = assembleController(context, createInstructionsBus(bus.buckets.desired))
  closers.push(() => assembled.close())
  const issuer = createIssuer(bus)
  const services = createServices(context, assembled.services, bus, issuer)
  const url = settings.publicUrl ?? `http://${settings.listen[0]}`
  const about = { url, version: packageJson.version }
  const { hostsConnection } = bus
  const metrics = await patiently(() => openMetricsRoom({ context, connection, hostsConnection, replicas }))
  closers.push(() => metrics.close())
  work.add('metrics', (signal) => metrics.write(signal))
  const follower = createMeasuresFollower(context, metrics.service, assembled.expectedLoads)
  const following = keepFollowing(follower, logger)
  closers.push(() => following.close())
  const controlPlane = createControlPlaneService({
    store,
    directory: store.directory.current,
    leases,
    connections: [connection, bus.hostsConnection],
    replicas,
    isCluster: natsServers.length > 0,
    version: packageJson.version,
    now: Date.now,
  })
  const logs = await patiently(() => openLogs({ connection: bus.hostsConnection, replicas, now: Date.now }))
  const collectd = await openCollectdEntry({
    context,
    send: sendToStream(bus.hostsConnection),
    settings: readCollectdFile(settings.collectdFile),
    tellCulprits: (culprits) => tellCulprits(context, culprits),
  })
  closers.push(() => collectd.close())
  const states = createStates(context, await readStateKeys(settings.stackKeysFile, random))
  const shown = { logs, metrics: metrics.service, collectd, states, lifecycle: room.service }
  const prefetch = await patiently(() =>
    openPrefetch({
      ...{ context, connection, replicas, stateFolder },
      controller: leases.holder,
      settings: settings.prefetch,
      microshardOf: (shardKey) => findMicroshard(store.directory.current(), shardKey).id,
    }),
  )
  closers.push(() => prefetch.close())
  const rest = {
    events: createEventReader(bus, prefetch.events),
    prefetch,
    microshards: lifecycle.service,
    controlPlane,
    ...shown,
  }
  const owners = openOwners(bus, store, leases, logger)
  closers.push(() => owners.close())
  const api = createApi({ context, services, ...rest, owners, settings: about })
  const sweep = async () => {
    await assembled.sweep()
    await api.sweep()
    await owners.tidy()
    await resumeTokenRemovals(context, issuer)
    await resumeProjectRemovals(context, services.tokens.remove)
  }
  await keepNames(context, settings, work)
  work.add('reconcile', async (signal) => {
    assembled.takeOver()
    const { reconciler } = assembled
    const loop = startReconcileLoop({ reconciler, store, observed, logger, onStandstill: observed.beginAnew })
    wake = loop.wake
    await runLoop(loop, signal)
    wake = () => {}
  })
  work.add('sweep', (signal) => keepSweeping({ sweep, sweepSeconds: settings.sweepSeconds }, signal))
  work.add('presence', (signal) =>
    keepPresence({ store, leases, listServers: bus.listServers, logger, now: Date.now }, signal),
  )
  const hypervisors = openHypervisors({
    ...{ context, leases, states, ...settings.hypervisors },
    folder: `${stateFolder}/stacks`,
    // No machine or instance has a driver yet that is a domain.
    listDomains: () => ({ domains: [], removedIds: [] }),
  })
  closers.push(() => hypervisors.close())
  // After all that works under a lease, and before the leases and what they are about.
  closers.push(() => work.close())
  await admitFirstAdmin(context, settings.adminTokenFile)
  const served = await serve({ app: api.app, listen: settings.listen })
  closers.push(() => served.close())
  return served.urls
}

/** A server that does not answer keeps nothing from starting: its names are queued. */
async function keepNames(
  context: ControllerContext,
  { controller: { names }, nameServer }: ProcessSettings,
  work: DividedWork,
): Promise<void> {
  if (names === null || nameServer === null) return
  const { address, port, keyFile } = nameServer
  const key = await readKeyFile(keyFile)
  const { store, observed, now, random, logger } = context
  const timeoutMilliseconds = nameServerTimeoutMilliseconds
  work.add('names', async (signal) => {
    const server = createNameServer({ zone: names.zone, address, port, key, timeoutMilliseconds }, { now, random })
    const keeper = createNamesKeeper({ store, observed, now, random, logger }, server, names)
    const loop = startNamesLoop({ keeper, store, observed })
    await whenAborted(signal)
    // Before the loop: a turn that waits for the server ends at once.
    await server.close()
    await loop.close()
  })
}

async function openControllerLeases(bus: Bus, settings: ProcessSettings, logger: Logger): Promise<Leases> {
  const { connection, replicas } = bus
  const onTrouble = (trouble: unknown) => logger.warn({ err: trouble }, 'leases wait for the store')
  const bucket = await patiently(() => openLeaseBucket({ connection, replicas, onTrouble }))
  return await openLeases({
    bucket,
    id: settings.name ?? hostname(),
    address: describeOwnUrl(settings),
    version: packageJson.version,
    since: new Date().toISOString(),
    createNonce: () => crypto.randomUUID(),
    now: () => performance.now(),
    onTrouble,
  })
}

const describeNode = ({ node, address, location, isJetStreamOn }: ListedServer): StoreNode => ({
  name: node,
  address,
  location,
  isAlive: isJetStreamOn,
})

/** Of all that is kept. */
const kinds = Object.values(objects).filter((one) => typeof one === 'object' && 'dataType' in one)

/** Where this very controller is reached: not on the loopback, if it listens elsewhere as well. */
function describeOwnUrl({ listen }: ProcessSettings): string {
  return `http://${listen.find((address) => !/^(127\.|localhost|\[::1\])/.test(address)) ?? listen[0]}`
}

/** What several controllers change at once is left to one of them. */
function openOwners(
  { connection }: Bus,
  { directory }: Pick<JetStreamStore, 'directory'>,
  leases: Leases,
  logger: Logger,
): OwnerRouting<Answer> {
  const decode = (answer: unknown) => answer as Answer
  return createOwnerRouting({
    leases,
    bus: createOwnerBus({ connection, holder: leases.holder, logger, encode: plainAnswer, decode }),
    microshardOf: (shardKey) => findMicroshard(directory.current(), shardKey).id,
    now: () => performance.now(),
  })
}

function createServices(
  context: ControllerContext,
  rooms: ReturnType<typeof assembleController>['services'],
  bus: Bus,
  issuer: EventCredentialsIssuer,
): Services {
  const tokens = createTokensService(context, issuer)
  const projects = createProjectsService(context, (id, request) => tokens.remove(id, request))
  return { ...rooms, tokens, projects, hosts: createHostsService(context, bus) }
}

function createIssuer(bus: Bus): EventCredentialsIssuer {
  return {
    async issue(reader) {
      const issued = await bus.issueEventCredentials(reader)
      return { ...issued, servers: [...issued.servers] }
    },
    revoke: (publicKey) => bus.revokeUser(publicKey),
  }
}

function createEventReader({ connection }: Bus, { basisOf, noteShown }: PrefetchRoom['events']): EventReader {
  return {
    read: (options) => readEvents({ connection, ...options, onRead: noteShown }),
    async list(options) {
      const list = await listEvents({ connection, ...options })
      return { ...list, basis: basisOf(options.projectId, list) }
    },
  }
}

/** The first admin's bearer is kept in a file beside the store, and made at the first start. */
async function admitFirstAdmin(context: ControllerContext, file: string): Promise<void> {
  const kept = (await readFileOrNull(file))?.trim() ?? ''
  const bearer = kept === '' ? createBearer(context) : kept
  const admitted = await admitAdminBearer(context, bearer)
  if (!admitted.ok) {
    throw new Error(
      `the admin's token in ${file} is refused: ${admitted.problem.detail} ${admitted.problem.remedy ?? ''}`,
    )
  }
  if (kept !== '') return
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  await writeDurableFile(file, `${bearer}\n`, secretMode)
}
