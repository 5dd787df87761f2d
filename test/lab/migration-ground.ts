/**
 * What the tests of migrations look at and do in the lab: who has which address in the kernel, who answers by which, and
 * the controller and agents killed at a moment of a migration.
 */

import { expect } from 'bun:test'
import { showMigration } from '../../bench/migrate/follow-migration.ts'
import { type Ground, showMachines, showShard } from '../../bench/migrate/ground.ts'
import { blockOf, containsAddress, parseAddress } from '../../controller/address-space/cidr.ts'
import type { Shard } from '../../controller/contract/address-space.ts'
import type { Machine } from '../../controller/contract/machine.ts'
import type { Migration } from '../../controller/contract/migration.ts'
import { waitUntil } from '../../lab/wait.ts'
import { type Outside, repository } from './lab-client.ts'

/** For a machine that is busy with other things. */
const patienceSeconds = 60

/** Nobody is left in the one shard, which is on no network; everybody has one address, of the other, and answers by it. */
export async function expectMoved(outside: Outside, ground: Ground, from: Shard, to: Shard): Promise<void> {
  const { status, networkId, resourceCount } = await showShard(ground.system, from.id)
  expect({ status, networkId, resourceCount }).toEqual({ status: 'available', networkId: null, resourceCount: 0 })
  await expectReachable(outside, ground, to)
}

/** Everybody has one address, of this shard, in the API and in the kernel, and answers by it; by no other of both shards. */
export async function expectReachable(outside: Outside, ground: Ground, shard: Shard): Promise<void> {
  const machines = await showMachines(ground)
  const block = blockOf(shard.cidr)
  for (const { name, addresses } of machines) {
    const inside = addresses.filter((address) => containsAddress(block, parseAddress(address) ?? 0))
    expect([name, inside.length, addresses.length]).toEqual([name, 1, 1])
  }
  expect(await listKernelAddresses(outside, machines)).toEqual(
    Object.fromEntries(machines.map(({ name, addresses }) => [name, addresses])),
  )
  const answers = await askEach(outside, ground, machines)
  const webs = machines.filter(({ workloads }) => workloads.some(({ kind }) => kind === 'web'))
  expect(answers).toEqual(webs.map(({ name, host, addresses }) => `${name} ${host} ${addresses[0]}`))
}

/** By name, the addresses that each machine's interface really has. */
async function listKernelAddresses(
  outside: Outside,
  machines: readonly Machine[],
): Promise<Readonly<Record<string, readonly string[]>>> {
  const found: Record<string, readonly string[]> = {}
  for (const [host, own] of Map.groupBy(machines, (machine) => machine.host ?? '')) {
    const script = own.map(({ id, name }) => `echo "${name}" $(ip -n ${id} -4 -o address show dev eth0)`).join('\n')
    const { stdout } = await outside.on(host, 'sh', '-c', script)
    for (const line of stdout.trim().split('\n')) {
      const name = line.split(' ')[0] ?? ''
      found[name] = [...line.matchAll(/inet ([\d.]+)\//g)].map(([, address = '']) => address)
    }
  }
  return found
}

/** What the web machines say to another machine that asks them by their own addresses. */
async function askEach(outside: Outside, { echoes }: Ground, machines: readonly Machine[]): Promise<readonly string[]> {
  const asking = echoes[0]?.machine
  if (asking?.host == null) throw new Error('BUG: no machine that could ask')
  const urls = machines.flatMap(({ addresses, workloads }) =>
    workloads.some(({ kind }) => kind === 'web') ? [`http://${addresses[0]}/`] : [],
  )
  const curl = ['curl', '--silent', '--max-time', '3', ...urls]
  const { stdout } = await outside.on(asking.host, 'ip', 'netns', 'exec', asking.id, ...curl)
  return stdout.trim().split('\n')
}

/** Of these addresses, those that answer another machine's ping. */
export async function listAnswering(
  outside: Outside,
  { echoes }: Ground,
  addresses: readonly string[],
): Promise<readonly string[]> {
  const asking = echoes[0]?.machine
  if (asking?.host == null) throw new Error('BUG: no machine that could ask')
  const pings = addresses.map((address) => `(ping -q -c 1 -W 1 ${address} >/dev/null 2>&1 && echo ${address}) &`)
  const script = `${pings.join('\n')}\nwait`
  const { stdout } = await outside.on(asking.host, 'ip', 'netns', 'exec', asking.id, 'sh', '-c', script)
  return stdout.trim().split('\n').filter(Boolean)
}

/** Resolves with the migration at the first look that finds it so. */
export async function awaitMigration(
  ground: Ground,
  id: string,
  what: string,
  isSo: (migration: Migration) => boolean,
): Promise<Migration> {
  let last: Migration | undefined
  await waitUntil(
    async () => {
      last = await showMigration(ground.system, id)
      return isSo(last)
    },
    {
      what: () => `${what}: ${JSON.stringify(last?.moves.map(({ name, step, reason }) => [name, step, reason]))}`,
      timeoutSeconds: patienceSeconds,
      intervalMilliseconds: 30,
    },
  )
  if (last === undefined) throw new Error('BUG: seen and not there')
  return last
}

export const areDone = (count: number) => (migration: Migration) => migration.movesDone >= count

export interface Watching {
  /** All that it has told, once it has ended well. */
  readonly told: Promise<string>
}

/** `sluice migration watch`, from its first line on. */
export async function startWatching(outside: Outside, id: string): Promise<Watching> {
  const child = Bun.spawn([process.execPath, `${repository}cli/main.ts`, 'migration', 'watch', id], {
    env: outside.environment(),
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
  })
  const first = Promise.withResolvers<void>()
  const read = async () => {
    const decoder = new TextDecoder()
    let text = ''
    for await (const chunk of child.stdout) {
      text += decoder.decode(chunk, { stream: true })
      if (text.includes('\n')) first.resolve()
    }
    const exitCode = await child.exited
    if (exitCode !== 0) throw new Error(`the watch ended with ${exitCode}: ${text}`)
    return text
  }
  const told = read()
  await Promise.race([first.promise, told])
  return { told }
}
