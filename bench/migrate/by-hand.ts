/**
 * The floor of a machine's gap: its interface down, another address, up again, by one bare `ip -batch` and nothing of ours.
 * It is done to the very same machines, on a host whose agent is ended first, since that would put the address back.
 */

import { gatewayDevice, machineDevice } from '../../agent/kernel/names.ts'
import type { Machine } from '../../controller/contract/machine.ts'
import { killHostAgent, openLab, startHostAgent } from '../../lab/lab.ts'
import type { System } from '../system/system.ts'
import { inNamespaceOf, watchGap } from './address-gap.ts'

export interface ByHandOptions {
  readonly host: string
  /** Of that host, all in one shard. */
  readonly machines: readonly Machine[]
  /** The shard's, and how long its prefix is. */
  readonly gateway: string
  readonly prefixLength: number
  /** An address of the shard that nobody has, for each machine. */
  readonly freeAddressOf: (index: number) => string
  /** How many at the same time. */
  readonly parallelism: number
}

/** A watch that has begun is given so long to hear the address that is there. */
const beforeMilliseconds = 500

export async function replaceByHand(system: System, options: ByHandOptions): Promise<readonly number[]> {
  const { host, machines, parallelism, freeAddressOf } = options
  await killHostAgent(openLab(system.settings), host, { forGood: true })
  const gaps: number[] = []
  const next = machines.entries()
  const replaceSome = async () => {
    for (const [index, machine] of next) {
      const gap = await replaceOne(system, options, machine, freeAddressOf(index))
      if (gap !== null) gaps.push(gap)
    }
  }
  try {
    await Promise.all(Array.from({ length: parallelism }, replaceSome))
  } finally {
    await startHostAgent(openLab(system.settings), host)
  }
  return gaps
}

async function replaceOne(
  system: System,
  { host, gateway, prefixLength }: ByHandOptions,
  machine: Machine,
  after: string,
): Promise<number | null> {
  const [before] = machine.addresses
  if (before === undefined) throw new Error(`BUG: ${machine.name} has no address`)
  const neighbour = `neighbour replace ${after} lladdr ${machine.mac} dev ${gatewayDevice(system.networkId)} nud permanent`
  await batch(system, host, system.projectId, [neighbour])
  const watch = watchGap(system, { host, before, after })
  await Bun.sleep(beforeMilliseconds)
  await batch(system, host, machine.id, [
    `link set ${machineDevice} down`,
    `address delete ${before}/${prefixLength} dev ${machineDevice}`,
    `address add ${after}/${prefixLength} dev ${machineDevice}`,
    `link set ${machineDevice} up`,
    `route replace default via ${gateway} dev ${machineDevice}`,
  ])
  return watch.end()
}

async function batch(system: System, host: string, namespace: string, lines: readonly string[]): Promise<void> {
  const argv = inNamespaceOf(system, host, ['ip', '-n', namespace, '-batch', '-'])
  const child = Bun.spawn([...argv], { stdin: new Blob([`${lines.join('\n')}\n`]), stdout: 'ignore', stderr: 'pipe' })
  const said = await new Response(child.stderr).text()
  if ((await child.exited) !== 0) throw new Error(`by hand, in ${namespace} on ${host}: ${said}`)
}
