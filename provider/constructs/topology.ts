/** A whole tree of projects, networks and services from one object, with everything in it found again by its names. */

import { Construct } from 'constructs'
import { nameSchema } from '../../controller/contract/common.ts'
import { BalancedService, type BalancedServiceProps } from './balanced-service.ts'
import { Project, type ProjectConfig } from './bindings/generated/index.ts'
import { addCheck, findProblems } from './checks.ts'
import { PrivateNetwork, type PrivateNetworkProps } from './private-network.ts'

export type ServicesSpec = Readonly<Record<string, Omit<BalancedServiceProps, 'network'>>>
export interface NetworkSpec extends Omit<PrivateNetworkProps, 'project'> {
  readonly services?: ServicesSpec
}
export interface ProjectSpec extends Omit<Partial<ProjectConfig>, 'user'> {
  readonly networks?: Readonly<Record<string, NetworkSpec>>
}
export type ProjectsSpec = Readonly<Record<string, ProjectSpec>>

export interface TopologyProps<Spec extends ProjectsSpec> {
  /** The owner of all its projects. */
  readonly user: string
  readonly projects: Spec
}

type Names<Part> = Part extends Readonly<Record<string, unknown>> ? Part : Readonly<Record<never, never>>
export type ServicesOf<Spec extends NetworkSpec> = {
  readonly [Service in keyof Names<Spec['services']>]: BalancedService
}
export type NetworksOf<Spec extends ProjectSpec> = {
  readonly [Name in keyof Names<Spec['networks']>]: Names<Spec['networks']>[Name] extends NetworkSpec
    ? { readonly network: PrivateNetwork; readonly services: ServicesOf<Names<Spec['networks']>[Name]> }
    : never
}
export type ProjectsOf<Spec extends ProjectsSpec> = {
  readonly [Name in keyof Spec]: { readonly project: Project; readonly networks: NetworksOf<Spec[Name]> }
}

/**
 * @example
 * ```ts
 * const rack = new Topology(this, 'rack', {
 *   user: 'jane',
 *   projects: { shop: { networks: { front: { addressSpace: '10.20.0.0/20', services: { web: { machines: 3 } } } } } },
 * })
 * rack.projects.shop.networks.front.services.web.url
 * ```
 */
export class Topology<const Spec extends ProjectsSpec> extends Construct {
  /** By name: only what was declared is there, and a name that was not is an error of types. */
  readonly projects: ProjectsOf<Spec>

  constructor(scope: Construct, id: string, { user, projects }: TopologyProps<Spec>) {
    super(scope, id)
    this.projects = mapValues(projects, (spec, name) => buildProject(this, name, user, spec)) as ProjectsOf<Spec>
    addCheck(this, () => findProblems('user', nameSchema, user))
  }
}

function buildProject(scope: Construct, name: string, user: string, { networks = {}, ...config }: ProjectSpec) {
  const own = new Construct(scope, name)
  const project = new Project(own, 'project', { name, ...config, user })
  return { project, networks: mapValues(networks, (spec, key) => buildNetwork(own, key, project, spec)) }
}

function buildNetwork(scope: Construct, name: string, project: Project, { services = {}, ...props }: NetworkSpec) {
  const network = new PrivateNetwork(scope, name, { ...props, project })
  const build = (spec: ServicesSpec[string], key: string) => new BalancedService(network, key, { ...spec, network })
  return { network, services: mapValues(services, build) }
}

function mapValues<Value, Result>(
  from: Readonly<Record<string, Value>>,
  turn: (value: Value, key: string) => Result,
): Readonly<Record<string, Result>> {
  return Object.fromEntries(Object.entries(from).map(([key, value]) => [key, turn(value, key)]))
}
