/**
 * Balancers by their names, in a lab with a real name server: what kdig is answered, how a client gets there, and what
 * becomes of names when VIPs, balancers, the server or its zone change under them. Runs in a sandbox:
 *   scripts/check lab test/lab/names.lab.ts
 */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import * as v from 'valibot'
import { pageSchema } from '../../controller/contract/common.ts'
import { cloudEventSchema } from '../../controller/contract/events.ts'
import { type LoadBalancer, loadBalancerSchema } from '../../controller/contract/load-balancer.ts'
import {
  bootController,
  bootNameServer,
  bringLabUp,
  changeLab,
  cutHost,
  enterArgv,
  healHost,
  killController,
  killNameServer,
  labSettings,
  nameServerAddress,
  nameServerKeyFile,
  nameServerUnderlayAddress,
  openLab,
  silentProgress,
  takeLabDown,
} from '../../lab/lab.ts'
import { waitUntil } from '../../lab/wait.ts'
import { createOutside, finish, type Outside, repository } from './lab-client.ts'
import { requireSandbox } from './machine-snapshot.ts'

setDefaultTimeout(120_000)
const settings = labSettings({ name: 'names', hosts: 3 })
const name = 'web.quickstart.names.test'
const patienceSeconds = 30

let outside: Outside
let balancer: LoadBalancer

beforeAll(async () => {
  requireSandbox()
  process.env.SLUICE_DNS_SWEEP_SECONDS = '2'
  process.env.SLUICE_DNS_TTL_SECONDS = '3'
  await bringLabUp(settings, silentProgress)
  outside = createOutside(settings)
  const declared = await finish([process.execPath, 'examples/quickstart/declare.ts'], repository, outside.environment())
  if (declared.exitCode !== 0) throw new Error(`the declaration failed: ${declared.stdout}${declared.stderr}`)
  balancer = await find('web')
})

afterAll(async () => {
  delete process.env.SLUICE_DNS_SWEEP_SECONDS
  delete process.env.SLUICE_DNS_TTL_SECONDS
  await takeLabDown(settings)
})

async function must<Schema extends v.GenericSchema>(schema: Schema, method: string, path: string, body?: unknown) {
  const answer = await outside.ask(method, path, { body })
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${JSON.stringify(answer.body)}`)
  return v.parse(schema, answer.body)
}

async function find(wanted: string): Promise<LoadBalancer> {
  const { items } = await must(pageSchema(loadBalancerSchema), 'GET', '/v1/load-balancers')
  const found = items.find((one) => one.name === wanted)
  if (found === undefined) throw new Error(`there is no load balancer ${wanted}`)
  return found
}

/** As a client's resolver is answered, by name or by any words of kdig. */
async function dig(...words: readonly string[]): Promise<readonly string[]> {
  const { stdout } = await outside.on(
    'client',
    'kdig',
    `@${nameServerAddress}`,
    '+short',
    '+time=1',
    '+retry=0',
    ...words,
  )
  return stdout
    .split('\n')
    .flatMap((line) => (line === '' || line.startsWith(';;') ? [] : [line]))
    .toSorted()
}

const answers = (wanted: string, expected: readonly string[]) => {
  let last: readonly string[] = []
  return waitUntil(
    async () => {
      last = await dig(wanted, 'A')
      return Bun.deepEquals(last, expected.toSorted())
    },
    { what: () => `${wanted} to be ${expected.join(' ')}; it is ${last.join(' ')}`, timeoutSeconds: patienceSeconds },
  )
}

/** As the operator of the zone would. */
async function write(...lines: readonly string[]): Promise<void> {
  const lab = openLab(settings)
  const input = [`server ${nameServerUnderlayAddress}`, 'zone names.test', ...lines, 'send', ''].join('\n')
  const argv = enterArgv(lab, 'names', ['knsupdate', '-k', nameServerKeyFile(lab.settings)])
  const { exitCode, stdout, stderr } = await lab.run(argv, input)
  if (exitCode !== 0 || `${stdout}${stderr}`.includes('rror')) throw new Error(`knsupdate: ${stdout}${stderr}`)
}

async function condition(wanted: string, reason: string): Promise<void> {
  let last: unknown
  await waitUntil(
    async () => {
      last = (await find(wanted)).conditions.find(({ type }) => type === 'named')
      return (last as { reason?: string } | undefined)?.reason === reason
    },
    { what: () => `${wanted} to be named by ${reason}: ${JSON.stringify(last)}`, timeoutSeconds: patienceSeconds },
  )
}

const rename = (newName: string) =>
  must(loadBalancerSchema, 'PATCH', `/v1/load-balancers/${balancer.id}`, { name: newName })

test('the name is the URL, kdig is answered the VIPs, and the client gets there by it', async () => {
  expect(balancer).toMatchObject({ url: `http://${name}`, dnsName: name })
  await answers(name, balancer.vips)
  const { stdout } = await outside.on('client', 'kdig', `@${nameServerAddress}`, '+noall', '+answer', name, 'A')
  expect(stdout.match(/\s3\sIN\sA\s/g)).toHaveLength(2)
  const asked = await outside.askMany(`http://${name}/`, 30)
  expect(asked.filter((answer) => answer !== '')).toHaveLength(30)
  const shown = await outside.ask('POST', '/v1/actions', {
    body: { action: 'info', type: 'instance', info: { name: 'web', project: 'quickstart' } },
  })
  expect(shown.body).toMatchObject({ info: { url: `http://${name}` } })
  const { items } = await must(
    pageSchema(cloudEventSchema),
    'GET',
    '/v1/events?type=load-balancer.name.published&limit=100&format=json',
  )
  expect(items.at(-1)?.data).toEqual({ name: 'web', dnsName: name, addresses: balancer.vips.toSorted() })
})

test('a renamed balancer moves, and back', async () => {
  await rename('Web Shop!')
  await answers('web-shop.quickstart.names.test', balancer.vips)
  await answers(name, [])
  await rename('web')
  await answers(name, balancer.vips)
})

test('the VIP of an instance that nobody hears of goes, and comes again; the other one is asked meanwhile', async () => {
  const [first, second] = balancer.instances
  if (first?.host == null || second === undefined) throw new Error('an instance has no host')
  const { host } = first
  await changeLab(settings, (lab) => cutHost(lab, host, ['underlay']))
  await answers(name, second.heldVips)
  expect(
    (await outside.askMany(`http://${name}/healthz`, 10)).filter((answer) => answer !== '').length,
  ).toBeGreaterThan(0)
  await changeLab(settings, (lab) => healHost(lab, host, ['underlay']))
  await answers(name, balancer.vips)
})

describe('the zone', () => {
  test('loses what is a stray one of ours, and keeps what is not', async () => {
    const [mark = ''] = await dig(name, 'TXT')
    await write(
      `update add old.quickstart.names.test. 3 TXT ${mark}`,
      'update add old.quickstart.names.test. 3 A 198.18.32.99',
      'update add mail.names.test. 60 A 192.0.2.1',
      `update delete ${name}. A 198.18.32.10`,
    )
    await answers('old.quickstart.names.test', [])
    await answers(name, balancer.vips)
    expect(await dig('mail.names.test', 'A')).toEqual(['192.0.2.1'])
  })

  test('may have a name already: then it is left, and the balancer says so until it is free', async () => {
    await write('update add taken.quickstart.names.test. 60 A 192.0.2.2')
    await rename('taken')
    await condition('taken', 'nameTaken')
    expect(await dig('taken.quickstart.names.test', 'A')).toEqual(['192.0.2.2'])
    await write('update delete taken.quickstart.names.test. A')
    await answers('taken.quickstart.names.test', balancer.vips)
    await rename('web')
    await answers(name, balancer.vips)
  })
})

describe('while the name server is dead', () => {
  test('changes wait, over the death of the controller too, and are made when it is back', async () => {
    await changeLab(settings, killNameServer)
    await rename('later')
    await condition('later', 'serverUnreachable')
    expect((await find('later')).status).toBe('active')
    const direct = await outside.askMany(`http://${balancer.vips[0]}/`, 10)
    expect(direct.filter((answer) => answer !== '')).toHaveLength(10)
    await changeLab(settings, async (lab) => {
      await killController(lab)
      await bootController(lab)
      await bootNameServer(lab)
    })
    await answers('later.quickstart.names.test', balancer.vips)
    await answers(name, [])
    await condition('later', 'published')
  })

  test('whoever answers in its place is not believed, and nothing is lost', async () => {
    await changeLab(settings, killNameServer)
    const lab = openLab(settings)
    const argv = enterArgv(
      lab,
      'names',
      [process.execPath, 'test/names/lying-server.ts', nameServerUnderlayAddress, '53'],
      repository,
    )
    const liar = Bun.spawn([...argv], { stdin: 'ignore', stdout: 'ignore', stderr: 'inherit' })
    try {
      await rename('web')
      await condition('web', 'answerForged')
      expect((await outside.askMany(`http://${balancer.vips[0]}/`, 10)).filter((answer) => answer !== '')).toHaveLength(
        10,
      )
    } finally {
      liar.kill('SIGTERM')
      await liar.exited
      await changeLab(settings, bootNameServer)
    }
    await answers(name, balancer.vips)
  })
})

test('a deleted balancer leaves no name', async () => {
  const answer = await outside.ask('DELETE', `/v1/load-balancers/${balancer.id}?wait=true`)
  expect(answer.status).toBeLessThan(300)
  await answers(name, [])
  expect(await dig(name, 'TXT')).toEqual([])
})
