/**
 * Sluice in CDKTF: a binding of each resource and data source, and constructs that make the common thing short.
 *
 * @module
 * @example
 * ```ts
 * import { App, TerraformStack } from 'cdktf'
 * import { BalancedService, PrivateNetwork, Project, SluiceProvider } from 'sluice/constructs'
 *
 * const app = new App()
 * const stack = new TerraformStack(app, 'shop')
 * new SluiceProvider(stack, 'sluice')
 * const project = new Project(stack, 'project', { name: 'shop', user: 'jane' })
 * const network = new PrivateNetwork(stack, 'front', { project, addressSpace: '10.20.0.0/20' })
 * new BalancedService(stack, 'web', { network, machines: 3 })
 * app.synth()
 * ```
 */

export { BalancedService, type BalancedServiceProps, type BalancerProps } from './balanced-service.ts'
export * from './bindings/generated/index.ts'
export { BlueGreenService, type BlueGreenServiceProps, type GroupProps } from './blue-green-service.ts'
export type { Reference } from './checks.ts'
export { PrivateNetwork, type PrivateNetworkProps, type ShardProps } from './private-network.ts'
export {
  type NetworkSpec,
  type ProjectSpec,
  type ProjectsSpec,
  type ServicesSpec,
  Topology,
  type TopologyProps,
} from './topology.ts'
