/**
 * Puts the rooms together that a controller consists of besides its API: services, reconciler, sweeps. It connects to
 * nothing and starts nothing, so that a simulation runs the very same as `main.ts`.
 */

import { sweepReservations } from './access/sweep-reservations.ts'
import { createAddressService } from './address-space/allocate-addresses.ts'
import { createAddressAllocator } from './address-space/allocator.ts'
import { createMigrationsService } from './address-space/migrations.ts'
import { createNetworksService, resumeNetworkRemovals } from './address-space/networks.ts'
import { createPoolsService } from './address-space/pools.ts'
import { runPolicies } from './address-space/run-policies.ts'
import { createShardsService } from './address-space/shards.ts'
import { createAddressSweep } from './address-space/sweep-addresses.ts'
import { sweepMigrations } from './address-space/sweep-migrations.ts'
import { createHostCandidates } from './load-balancing/host-candidates.ts'
import { createUplinkJudges } from './load-balancing/judge-reservations.ts'
import { createLoadBalancersService } from './load-balancing/load-balancers.ts'
import { createExpectedLoads, type ExpectedLoads } from './load-balancing/scaling/expected-loads.ts'
import { createLoadHistory } from './load-balancing/scaling/load-history.ts'
import { createUplinkAddresses } from './load-balancing/uplink-addresses.ts'
import { createMachinesService } from './machines/machines.ts'
import type { InstructionsBus } from './reconcile/instructions-bus.ts'
import { createPublisher } from './reconcile/publisher.ts'
import { createReconciler, type Reconciler } from './reconcile/reconciler.ts'
import type { ControllerContext, Services } from './services.ts'

export interface AssembledController {
  readonly services: Pick<
    Services,
    'pools' | 'shards' | 'addresses' | 'migrations' | 'networks' | 'machines' | 'loadBalancers'
  >
  readonly reconciler: Reconciler
  /** To be fed with what is measured. */
  readonly expectedLoads: ExpectedLoads
  /** Called before this controller reconciles, as another one may have done so until now. */
  takeOver(): void
  /** Gives back what has no owner, and finishes what was cut off. Never rejects. */
  sweep(): Promise<void>
  close(): void
}

export function assembleController(context: ControllerContext, bus: InstructionsBus): AssembledController {
  const allocator = createAddressAllocator(context)
  const sweepAddresses = createAddressSweep(context, allocator)
  const uplink = createUplinkAddresses(context)
  const hosts = createHostCandidates(context.store)
  const publisher = createPublisher(bus)
  const { published } = publisher
  const loadHistory = createLoadHistory()
  const expectedLoads = createExpectedLoads()
  const loads = { loadHistory, expectedLoads }
  return {
    expectedLoads,
    services: {
      pools: createPoolsService(context),
      shards: createShardsService(context),
      addresses: createAddressService(context, allocator),
      migrations: createMigrationsService(context),
      networks: createNetworksService(context),
      machines: createMachinesService(context, { allocator, hosts }),
      loadBalancers: createLoadBalancersService(context, { allocator, uplink, hosts, ...loads }),
    },
    reconciler: createReconciler({ ...context, observed: context.observed, allocator, uplink, publisher, ...loads }),
    takeOver: () => publisher.forget(),
    async sweep() {
      const steps = [
        () => sweepReservations(context, createUplinkJudges(context.store, { published, observed: context.observed })),
        sweepAddresses,
        () => sweepMigrations(context),
        () => resumeNetworkRemovals(context),
        () => runPolicies(context),
      ]
      for (const step of steps) {
        try {
          await step()
        } catch (error) {
          context.logger.warn({ err: error }, 'a sweep failed; the next one tries again')
        }
      }
    },
    close: () => allocator.close(),
  }
}
