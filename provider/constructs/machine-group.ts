/** Equal machines on a network, named and counted. What services are made of; not a construct that users meet. */

import type { Construct } from 'constructs'
import { labelSchema, portSchema } from '../../controller/contract/common.ts'
import { Machine } from './bindings/generated/index.ts'
import { countSchema, findProblems, idOf, labelOf } from './checks.ts'
import type { PrivateNetwork } from './private-network.ts'

export interface MachineGroupProps {
  readonly network: PrivateNetwork
  readonly name: string
  readonly count: number
  /** Where the machines listen. */
  readonly port: number
  readonly trafficType: 'http' | 'tcp'
}

/** As many as one balancer can have members. */
export const machinesMaximum = 256

/** Built-in servers: of web pages behind an HTTP balancer, else one that sends back what it is sent. */
export function createMachines(
  scope: Construct,
  { network, name, count, port, trafficType }: MachineGroupProps,
): readonly Machine[] {
  // What is no count is told when the stack is synthesized.
  const length = Number.isInteger(count) ? Math.min(Math.max(count, 0), machinesMaximum) : 0
  return Array.from({ length }, (_, index) => {
    const machine = new Machine(scope, `machine-${index + 1}`, {
      name: `${labelOf(name)}-${index + 1}`,
      projectId: idOf(network.project),
      networkId: network.id,
      workloads: [{ kind: trafficType === 'http' ? 'web' : 'echo', port }],
    })
    network.hold(machine, 1)
    return machine
  })
}

export const findGroupProblems = (count: number, port: number, machines: readonly Machine[]): readonly string[] => [
  ...findProblems('machines', countSchema(1, machinesMaximum), count),
  ...findProblems('machinePort', portSchema, port),
  ...machines.flatMap(({ input }) => findProblems('machine name', labelSchema, input.name)),
]
