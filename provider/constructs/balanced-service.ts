/** Machines, a load balancer in front of them, and a health check: a service in one construct. */

import { Construct } from 'constructs'
import { portSchema } from '../../controller/contract/common.ts'
import { loadBalancerCreateSchema, memberCreateSchema } from '../../controller/contract/load-balancer.ts'
import { healthCheckCreateSchema } from '../../controller/contract/traffic.ts'
import {
  LoadBalancer,
  type LoadBalancerConfig,
  type LoadBalancerMembers,
  type Machine,
} from './bindings/generated/index.ts'
import { addCheck, findProblems, idOf, plainNameSchema } from './checks.ts'
import { createMachines, findGroupProblems } from './machine-group.ts'
import type { PrivateNetwork } from './private-network.ts'

/** Of the balancer, what a service does not decide itself. */
export type BalancerProps = Omit<
  Partial<LoadBalancerConfig>,
  'name' | 'projectId' | 'networkId' | 'trafficType' | 'members' | 'listeners'
>

export interface BalancedServiceProps {
  readonly network: PrivateNetwork
  /** Of the balancer, and with a number behind it of each machine. Default: the construct's id. */
  readonly name?: string | undefined
  /** How many are made, or those that there are already, by address, URL or machine. Default: 2. */
  readonly machines?: number | readonly LoadBalancerMembers[] | undefined
  /** Where clients ask. Default: 80. */
  readonly port?: number | undefined
  /** Where the machines listen. Default: `port`. */
  readonly machinePort?: number | undefined
  /** Default: `http`. */
  readonly trafficType?: 'http' | 'tcp' | undefined
  /** Default: by the traffic type, of `/` for HTTP, each 2 s. */
  readonly healthCheck?: LoadBalancerConfig['healthCheck']
  /** Running copies of the balancer, each on a host of its own. Default: 2. */
  readonly instanceCount?: number | undefined
  /** More of what {@link LoadBalancer} takes. */
  readonly balancer?: BalancerProps | undefined
}

const machinesDefault = 2
const portDefault = 80
export const instancesDefault = 2
const healthSeconds = 2

/**
 * @example
 * ```ts
 * const web = new BalancedService(this, 'web', { network, machines: 3 })
 * new cdktf.TerraformOutput(this, 'url', { value: web.url })
 * ```
 */
export class BalancedService extends Construct {
  readonly loadBalancer: LoadBalancer
  /** Those that were made for it. */
  readonly machines: readonly Machine[]

  constructor(scope: Construct, id: string, props: BalancedServiceProps) {
    super(scope, id)
    const { network, name = id, machines = machinesDefault, trafficType = 'http', port = portDefault } = props
    const machinePort = props.machinePort ?? port
    const count = typeof machines === 'number' ? machines : 0
    this.machines = createMachines(this, { network, name, count, port: machinePort, trafficType })
    this.loadBalancer = createBalancer(this, {
      ...props,
      name,
      trafficType,
      port,
      machinePort,
      members: typeof machines === 'number' ? this.machines.map(({ id }) => ({ machineId: id })) : machines,
    })
    addCheck(this, () => [
      ...findBalancerProblems(props, name),
      ...(typeof machines === 'number'
        ? findGroupProblems(machines, machinePort, this.machines)
        : findMemberProblems(machines)),
    ])
  }

  /** Where clients ask: a token that Terraform fills in. */
  get url(): string {
    return this.loadBalancer.url
  }

  /** The addresses on the uplink, one an instance. */
  get vips(): string[] {
    return this.loadBalancer.vips
  }
}

export interface BalancerOptions
  extends Pick<BalancedServiceProps, 'network' | 'healthCheck' | 'instanceCount' | 'balancer'> {
  readonly name: string
  readonly trafficType: 'http' | 'tcp'
  readonly port: number
  readonly machinePort: number
  readonly members: readonly LoadBalancerMembers[]
}

/** The balancer of a service, on its network. */
export function createBalancer(scope: Construct, options: BalancerOptions): LoadBalancer {
  const { network, name, trafficType, port, machinePort, members } = options
  const instanceCount = options.instanceCount ?? instancesDefault
  const loadBalancer = new LoadBalancer(scope, 'balancer', {
    ...options.balancer,
    name,
    projectId: idOf(network.project),
    networkId: network.id,
    trafficType,
    listeners: [machinePort === port ? { port } : { port, memberPort: machinePort }],
    members,
    healthCheck: options.healthCheck ?? {
      protocol: trafficType,
      intervalSeconds: healthSeconds,
      timeoutSeconds: healthSeconds,
    },
    instanceCount,
  })
  network.hold(loadBalancer, instanceCount)
  return loadBalancer
}

export function findBalancerProblems(
  { port, healthCheck, instanceCount }: Pick<BalancedServiceProps, 'port' | 'healthCheck' | 'instanceCount'>,
  name: string,
): readonly string[] {
  return [
    ...findProblems('name', plainNameSchema, name),
    ...findProblems('port', portSchema, port),
    ...findProblems('healthCheck', healthCheckCreateSchema, healthCheck),
    ...findProblems('instanceCount', loadBalancerCreateSchema.entries.instanceCount, instanceCount),
  ]
}

function findMemberProblems(members: readonly LoadBalancerMembers[]): readonly string[] {
  if (members.length === 0) return ['machines must be a number, or have at least one member']
  return members.flatMap((member, index) => {
    const { machineId, address, host, url } = member
    const given = [machineId, address, host, url].filter((one) => one !== undefined).length
    if (given === 1) return findProblems(`machines.${index}`, memberCreateSchema, member)
    return [`machines.${index} must give exactly one of address, host, url and machineId, and gives ${given}`]
  })
}
