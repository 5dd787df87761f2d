/**
 * Puts the room together: counts at the store, what controllers tell each other, forecasts, the manager that decides, and
 * what callers are shown. Touches the bus by its parts alone.
 */

import type { NatsConnection } from '@nats-io/transport-node'
import type { Logger } from 'pino'
import type { MicroshardMeasures } from '../../contract/microshard-measures.ts'
import type { MicroshardPolicies } from '../../contract/microshard-policies.ts'
import { measureMicroshards } from '../../control-plane/directory/microshard-streams.ts'
import type { StoreNodes } from '../../control-plane/directory/nodes.ts'
import type { JetStreamStore } from '../../control-plane/jetstream-store.ts'
import type { MicroshardsService } from '../../control-plane/lifecycle/microshards.ts'
import type { ServerSample } from '../../nats/cluster/measure-servers.ts'
import { projectKind } from '../../objects.ts'
import { type AccessCounts, createAccessCounts } from '../monitoring/access-counts.ts'
import { describeMeasures } from '../monitoring/describe-measures.ts'
import { exchangeReports } from '../monitoring/exchange-reports.ts'
import { createGatheredMeasures } from '../monitoring/gathered-measures.ts'
import { createNodeSamples } from '../monitoring/node-figures.ts'
import { createLifecycleManager, type LifecycleManager, type NodesWanted } from './lifecycle-manager.ts'
import { createMicroshardForecasts, stepSecondsOf } from './microshard-forecasts.ts'
import { observeSight } from './observe-sight.ts'
import { createPoliciesService, type PoliciesService } from './policies-service.ts'

/** What routes call. */
export interface LifecycleService extends PoliciesService {
  measure(): Promise<MicroshardMeasures>
}

export interface OpenedLifecycleManager {
  /** Of what goes through this controller: to be noted by the store that stands before the true one. */
  readonly counts: AccessCounts
  readonly service: LifecycleService
  readonly manager: LifecycleManager
  /** Ends the window that is over, where time is moved by hand. */
  endWindow(): void
  close(): Promise<void>
}

export interface LifecycleManagerSettings {
  readonly store: JetStreamStore
  readonly connection: NatsConnection
  readonly microshards: MicroshardsService
  readonly nodes: StoreNodes
  /** Left out: nodes tell nothing of themselves. */
  readonly measureServers?: () => Promise<readonly ServerSample[]>
  /** This controller's name, and where it and its callers are. */
  readonly controller: string
  readonly location: string | null
  readonly logger: Pick<Logger, 'info' | 'warn'>
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Windows are ended by `endWindow` alone. */
  readonly isDriven?: boolean
}

const webhookMilliseconds = 5_000

export function openLifecycleManager(settings: LifecycleManagerSettings): OpenedLifecycleManager {
  const { store, connection, microshards, controller, location, logger, now } = settings
  const directory = () => store.directory.current()
  const counts = createAccessCounts(directory)
  const measures = createGatheredMeasures(now())
  const samples = createNodeSamples()
  const forecasts = createMicroshardForecasts((id) => measures.series(id))
  const policies = createPoliciesService({ store })
  const exchange = exchangeReports(
    { connection, controller, location, counts, measures, directory, now, logger },
    settings.isDriven,
  )

  const expectBy =
    ({ prediction }: MicroshardPolicies) =>
    (id: string) =>
      forecasts.expect(id, now(), measures.load(id), prediction)

  function followForecasts(): void {
    forecasts.follow(directory().microshards.map(({ id }) => id))
  }

  /** Nodes that do not answer tell nothing: what is shown of them is what is known otherwise. */
  async function askServers(): Promise<void> {
    if (settings.measureServers === undefined) return
    try {
      samples.accept(await settings.measureServers(), now())
    } catch (cause) {
      logger.warn({ err: cause }, 'the NATS servers could not be asked how they are')
    }
  }

  const manager = createLifecycleManager({
    store,
    policies,
    microshards,
    controller,
    logger,
    callWebhook,
    async observe(current) {
      const [nodes, sizes] = await Promise.all([settings.nodes.list(), measureMicroshards(connection)])
      measures.close(directory(), now())
      followForecasts()
      return observeSight({
        now: now(),
        directory: directory(),
        nodes,
        sizes,
        countByKey: store.table.countByKey(),
        measures,
        expect: expectBy(current),
        stepSeconds: stepSecondsOf(current.prediction),
      })
    },
  })

  return {
    counts,
    manager,
    service: {
      ...policies,
      async measure() {
        const [listed, nodes] = await Promise.all([microshards.list(), settings.nodes.list(), askServers()])
        followForecasts()
        return describeMeasures({
          now: now(),
          microshards: listed,
          nodes,
          measures,
          figures: samples.read(now()),
          projectIds: store.snapshot(projectKind).map(({ id }) => id),
          expect: expectBy(policies.show().policies),
        })
      },
    },
    endWindow: exchange.endWindow,
    close: exchange.close,
  }
}

async function callWebhook(url: string, body: NodesWanted): Promise<void> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(webhookMilliseconds),
  })
  if (!response.ok) throw new Error(`${url} answered ${response.status}`)
}
