/** Two groups of machines behind one load balancer, of which each gets its share of the traffic: what is switched is weights. */

import { Construct } from 'constructs'
import { type BalancedServiceProps, createBalancer, findBalancerProblems } from './balanced-service.ts'
import type { LoadBalancer, Machine } from './bindings/generated/index.ts'
import { addCheck, countSchema, findProblems } from './checks.ts'
import { createMachines, findGroupProblems } from './machine-group.ts'

export interface GroupProps {
  /** Default: 2. */
  readonly machines?: number | undefined
}

export interface BlueGreenServiceProps extends Omit<BalancedServiceProps, 'machines'> {
  readonly blue?: GroupProps | undefined
  readonly green?: GroupProps | undefined
  /** Of 100 requests, how many go to green; the others go to blue. A group with none keeps its machines. */
  readonly greenPercent: number
}

const machinesDefault = 2
const portDefault = 80
const weightMaximum = 256

/**
 * @example
 * ```ts
 * const shop = new BlueGreenService(this, 'shop', { network, blue: { machines: 3 }, green: { machines: 1 }, greenPercent: 10 })
 * ```
 */
export class BlueGreenService extends Construct {
  readonly loadBalancer: LoadBalancer
  readonly blue: readonly Machine[]
  readonly green: readonly Machine[]

  constructor(scope: Construct, id: string, props: BlueGreenServiceProps) {
    super(scope, id)
    const { network, name = id, trafficType = 'http', port = portDefault, greenPercent } = props
    const machinePort = props.machinePort ?? port
    const counts = { blue: props.blue?.machines ?? machinesDefault, green: props.green?.machines ?? machinesDefault }
    const group = (color: 'blue' | 'green') =>
      createMachines(new Construct(this, color), {
        network,
        name: `${name}-${color}`,
        count: counts[color],
        port: machinePort,
        trafficType,
      })
    this.blue = group('blue')
    this.green = group('green')
    const weights = splitWeights(greenPercent, counts)
    const members = (['blue', 'green'] as const).flatMap((color) =>
      this[color].map(({ id }) => ({ machineId: id, weight: weights[color] })),
    )
    this.loadBalancer = createBalancer(this, { ...props, name, trafficType, port, machinePort, members })
    addCheck(this, () => [
      ...findBalancerProblems(props, name),
      ...findProblems('greenPercent', countSchema(0, 100), greenPercent),
      ...findGroupProblems(counts.blue, machinePort, this.blue).map((problem) => `blue: ${problem}`),
      ...findGroupProblems(counts.green, machinePort, this.green).map((problem) => `green: ${problem}`),
    ])
  }

  /** Where clients ask: a token that Terraform fills in. */
  get url(): string {
    return this.loadBalancer.url
  }

  get vips(): string[] {
    return this.loadBalancer.vips
  }
}

/**
 * What each machine of a group weighs, so that the group as a whole gets its share, whatever the number of its machines:
 * the heavier one of both weighs 256, the most that a balancer takes.
 *
 * @example splitWeights(10, { blue: 2, green: 2 }) // { blue: 256, green: 28 }
 */
export function splitWeights(
  greenPercent: number,
  { blue, green }: { readonly blue: number; readonly green: number },
): { readonly blue: number; readonly green: number } {
  const shares = { blue: (100 - greenPercent) / Math.max(blue, 1), green: greenPercent / Math.max(green, 1) }
  const unit = weightMaximum / Math.max(shares.blue, shares.green)
  // A group that is to have something has at least the smallest weight.
  const weigh = (share: number) => (share <= 0 ? 0 : Math.max(1, Math.round(share * unit)))
  return { blue: weigh(shares.blue), green: weigh(shares.green) }
}
