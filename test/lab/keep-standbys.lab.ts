/**
 * examples/automation in a lab: a user's program follows its project's events by NATS, has a standby stand in for a
 * machine that fails, and gives it up when the machine is back, also when that happened while it was away.
 *   scripts/check lab test/lab/keep-standbys.lab.ts
 */

import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { type JsonLines, startJsonLines } from '../../bench/json-lines.ts'
import { loadBalancerSchema } from '../../controller/contract/load-balancer.ts'
import { bringLabUp, labSettings, loopbackUrl, silentProgress, takeLabDown } from '../../lab/lab.ts'
import { waitUntil } from '../../lab/wait.ts'
import { createOutside, type Outside, repository } from './lab-client.ts'
import { requireSandbox } from './machine-snapshot.ts'

setDefaultTimeout(120_000)
const settings = labSettings({ name: 'standby', hosts: 1 })
const waitSeconds = 30
const ownAddress = '198.18.16.11'
const standby = '198.18.16.14'

let outside: Outside
let folder: string
let tokenFile: string
let balancerId: string
let failingId: string
let running: JsonLines | null = null

beforeAll(async () => {
  requireSandbox()
  folder = await mkdtemp(join(tmpdir(), 'sluice-standby-'))
  tokenFile = join(folder, 'token.json')
  await bringLabUp(settings, silentProgress)
  outside = createOutside(settings)
  await declare()
})
afterEach(async () => {
  await running?.stop()
  running = null
})
afterAll(async () => {
  await takeLabDown(settings)
  await rm(folder, { recursive: true, force: true })
})

const idSchema = v.object({ id: v.string() })

async function declare(): Promise<void> {
  const project = await act('project', { user: 'john', name: 'shop', instances: [] })
  const criteria = { interval: 1, timeout: 1, 'health-threshold': 1, 'unhealth-threshold': 1 }
  const instance = await act('instance', {
    name: 'web',
    project: 'shop',
    traffic_type: 'http',
    subnet: '198.18.16.0/24',
    backend: { entities: [ownAddress], 'health-check': { criteria } },
  })
  balancerId = String(instance.id)
  const { networkId } = await readBalancer()
  const machine = async (name: string, address: string) => {
    const workloads = [{ kind: 'web', port: 80 }]
    const body = { name, projectId: project.id, networkId, address, workloads }
    const answer = await outside.ask('POST', '/v1/machines?wait=true', { body })
    return v.parse(idSchema, answer.body).id
  }
  failingId = await machine('own', ownAddress)
  await machine('standby', standby)
  const token = await outside.sluice(['token', 'create', 'standby', '--project', 'shop', '--nats', '--json'])
  if (token.exitCode !== 0) throw new Error(token.stderr)
  await writeFile(tokenFile, token.stdout, { mode: 0o600 })
  await waitForMembers([[ownAddress, 'healthy']])
}

async function act(type: string, info: object): Promise<Readonly<Record<string, unknown>>> {
  const answer = await outside.ask('POST', '/v1/actions', { body: { action: 'create', type, info } })
  const wanted = v.object({ status: v.literal('successful'), info: v.record(v.string(), v.unknown()) })
  return v.parse(wanted, answer.body).info
}

async function readBalancer() {
  return v.parse(loadBalancerSchema, (await outside.ask('GET', `/v1/load-balancers/${balancerId}`)).body)
}

async function waitForMembers(wanted: readonly (readonly [string, string])[]): Promise<void> {
  let seen = ''
  const isTrue = async () => {
    const { members } = await readBalancer()
    seen = JSON.stringify(members.map(({ address, status }) => [address, status]))
    return seen === JSON.stringify(wanted)
  }
  await waitUntil(isTrue, {
    what: () => `members are ${seen}, not ${JSON.stringify(wanted)}`,
    timeoutSeconds: waitSeconds,
  })
}

async function setServing(isServing: boolean): Promise<void> {
  const body = { workloads: isServing ? [{ kind: 'web', port: 80 }] : [] }
  const answer = await outside.ask('PATCH', `/v1/machines/${failingId}`, { body })
  expect(answer.status).toBe(200)
}

/** It ends with the input of the shell around it. */
async function startProgram(): Promise<JsonLines> {
  const program = [process.execPath, `${repository}examples/automation/keep-standbys.ts`, tokenFile, 'web', standby]
  const untilEnd = ['sh', '-c', '"$@" & cat > /dev/null; kill $!; wait', 'standbys']
  running = startJsonLines([...untilEnd, ...program], { SLUICE_ADDR: loopbackUrl })
  expect(await running.receive(waitSeconds)).toMatchObject({ what: 'following' })
  return running
}

test('a standby stands in for a machine that fails, and is given up when it is back', async () => {
  const program = await startProgram()
  await setServing(false)
  expect(await program.receive(waitSeconds)).toMatchObject({ what: 'addMember', address: standby })
  await waitForMembers([
    [ownAddress, 'unhealthy'],
    [standby, 'healthy'],
  ])
  const [vip] = (await readBalancer()).vips
  const answers = await outside.askMany(`http://${vip}/`, 10)
  expect(answers.filter((text) => text.startsWith('standby '))).toHaveLength(10)
  await setServing(true)
  expect(await program.receive(waitSeconds)).toMatchObject({ what: 'removeMember', address: standby })
  await waitForMembers([[ownAddress, 'healthy']])
})

test('what happened while the program was away waits for it', async () => {
  await setServing(false)
  await waitForMembers([[ownAddress, 'unhealthy']])
  const program = await startProgram()
  expect(await program.receive(waitSeconds)).toMatchObject({ what: 'addMember', address: standby })
  await waitForMembers([
    [ownAddress, 'unhealthy'],
    [standby, 'healthy'],
  ])
})
