/**
 * What only a run of the CLI shows, by each that is there: secrets that are in no state, runs that are interrupted, a shard
 * that is emptied, and controllers that are not as they should be. The controller is in memory, the provider in this process.
 */

import { afterAll, afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createCertificate } from '../../provider/plugin/server/certificate.ts'
import { openAttached } from './attached.ts'
import { findPrograms } from './command-line.ts'
import { describeEverything, everyResource, first } from './everything.ts'
import { type ServedWorld, serveTestWorld } from './served-world.ts'

setDefaultTimeout(120_000)
const folder = mkdtempSync(join(tmpdir(), 'sluice-runs-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

const worlds: ServedWorld[] = []
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close()
})

async function openWorld(...tls: Parameters<typeof serveTestWorld>): Promise<ServedWorld> {
  const world = await serveTestWorld(...tls)
  worlds.push(world)
  return world
}

const open = (program: string, world: ServedWorld) => openAttached(program, world, folder)

describe.each(findPrograms())('by %s', (program) => {
  const applied = ['-auto-approve', '-input=false'] as const
  const project = 'resource "sluice_project" "p" {\n  name = "shop"\n  user = "john"\n}\n'
  const names = async (world: ServedWorld, noun: string) => {
    const { body } = await world.call('GET', `/v1/${noun}`)
    return (body.items as unknown as { name: string }[]).map(({ name }) => name)
  }

  test('a secret is in no state, is another when its version is, and a token of one run is gone with it', async () => {
    const world = await openWorld()
    const cli = await open(program, world)
    const write = (version: number) =>
      cli.configure(`${project}
variable "secret" {
  type      = string
  ephemeral = true
}
ephemeral "sluice_token" "run" {
  name       = "run"
  project_id = sluice_project.p.id
}
ephemeral "sluice_host_join_token" "next" {
  name = "host-9"
}
resource "sluice_token" "reader" {
  name              = "reader"
  project_id        = sluice_project.p.id
  secret_wo         = sha256(var.secret)
  secret_wo_version = ${version}
}
resource "sluice_token" "derived" {
  name       = "derived"
  project_id = sluice_project.p.id
  secret_wo  = sha256("\${ephemeral.sluice_token.run.token}\${ephemeral.sluice_host_join_token.next.join_token}")
}
output "prefix" {
  value = sluice_token.reader.bearer_prefix
}
`)
    const scopeOf = async (secret: string) => {
      const prefix = JSON.parse(await cli.succeed('output', '-json', 'prefix'))
      const { status, body } = await world.call('GET', '/v1/me', undefined, { token: prefix + sha256(secret) })
      return [status, status === 200 ? String(body.scope) : null]
    }
    write(1)
    await cli.succeed('apply', ...applied, '-var=secret=first')
    expect(await scopeOf('first')).toEqual([200, 'project'])
    const state = cli.readState()
    expect([state.includes(sha256('first')), state.includes('join_token"'), /slt_\w+_\w/.test(state)]).toEqual([
      false,
      false,
      false,
    ])
    expect((await names(world, 'tokens')).filter((name) => name.startsWith('run'))).toEqual([])
    await cli.succeed('plan', '-input=false', '-detailed-exitcode', '-var=secret=second')
    write(2)
    expect(await cli.succeed('apply', ...applied, '-var=secret=second')).toContain('1 added, 0 changed, 1 destroyed')
    expect(await scopeOf('second')).toEqual([200, 'project'])
    expect(await scopeOf('first')).toEqual([401, null])
    await cli.succeed('destroy', ...applied, '-var=secret=')
    await cli.close()
  })

  const network = `${project}
resource "sluice_pool" "p" {
  name       = "all"
  project_id = sluice_project.p.id
  cidr       = "10.20.0.0/20"
}
resource "sluice_network" "n" {
  name       = "front"
  project_id = sluice_project.p.id
}
`
  const shard = (name: string) => `
resource "sluice_shard" "${name}" {
  name           = "${name}"
  pool_id        = sluice_pool.p.id
  size_addresses = 16
}
resource "sluice_shard_attachment" "${name}" {
  network_id = sluice_network.n.id
  shard_id   = sluice_shard.${name}.id
  migration  = { mode = "restart", drain_seconds = 0 }
}
`
  const balancer = `
resource "sluice_load_balancer" "b" {
  name         = "web"
  project_id   = sluice_project.p.id
  network_id   = sluice_shard_attachment.old.network_id
  traffic_type = "http"
  listeners    = [{ port = 80 }]
  members      = [{ address = "10.20.0.9" }]
}
`

  test('what a run is interrupted at is finished in place by the next one', async () => {
    const world = await openWorld()
    const cli = await open(program, world)
    cli.configure(network + shard('old'))
    await cli.succeed('apply', ...applied)
    world.letHostsWork('never')
    cli.configure(network + shard('old') + balancer)
    world.requests.length = 0
    const isWaitedFor = () => world.requests.some((request) => request.startsWith('PATCH /v1/load-balancers/lb_'))
    const interrupted = await cli.runWith({ interruptWhen: isWaitedFor }, 'apply', '-no-color', ...applied)
    expect(interrupted.output.replaceAll(/[\s│╷╵]+/g, ' ')).toContain(
      'This sluice_load_balancer is made, but the run was interrupted',
    )
    const [id] = ((await world.call('GET', '/v1/load-balancers')).body.items as unknown as { id: string }[]).map(
      (one) => one.id,
    )
    world.letHostsWork('whileChanging')
    expect(await cli.succeed('apply', ...applied)).toContain('0 added, 1 changed, 0 destroyed')
    await cli.succeed('plan', '-detailed-exitcode')
    const { body } = await world.call('GET', `/v1/load-balancers/${id}`)
    expect(body).toMatchObject({ status: 'active' } as object)
    await cli.close()
  })

  test('who holds addresses of a shard moves when its attachment is taken away', async () => {
    const world = await openWorld()
    const cli = await open(program, world)
    const machine = `
resource "sluice_machine" "m" {
  name       = "web"
  project_id = sluice_project.p.id
  network_id = sluice_shard_attachment.old.network_id
}
`
    cli.configure(network + shard('old') + machine)
    await cli.succeed('apply', ...applied)
    const address = async () => {
      const { body } = await world.call('GET', '/v1/machines')
      return (body.items as unknown as { addresses: string[] }[]).map(({ addresses }) => addresses)
    }
    expect(await address()).toEqual([['10.20.0.2']])
    cli.configure(network + shard('old') + shard('new') + machine)
    await cli.succeed('apply', ...applied)
    world.letHostsWork('always')
    cli.configure(network + shard('new') + machine.replace('.old.', '.new.'))
    expect(await cli.succeed('apply', ...applied)).toContain('0 added, 0 changed, 2 destroyed')
    expect(await address()).toEqual([['10.20.0.18']])
    await cli.succeed('plan', '-detailed-exitcode')
    await cli.close()
  })

  test('whatever somebody else has deleted is made again', async () => {
    const world = await openWorld()
    const cli = await open(program, world)
    cli.configure(describeEverything(program, first))
    await cli.succeed('apply', ...applied)
    const other = await open(program, world)
    other.configure(describeEverything(program, first))
    other.write('terraform.tfstate', cli.readState())
    world.letHostsWork('always')
    await other.succeed('destroy', ...applied)
    await other.close()
    const planned = await cli.succeed('plan')
    expect(planned).toContain(`${everyResource.length} to add, 0 to change, 0 to destroy`)
    await cli.succeed('apply', ...applied)
    await cli.succeed('plan', '-detailed-exitcode')
    await cli.close()
  })

  const wrong: readonly (readonly [string, string, string | undefined, RegExp])[] = [
    ['nobody answers at the endpoint', 'http://127.0.0.1:9', 'slt_x', /controller can not be reached.*SLUICE_ADDR/],
    ['there is no TLS at the endpoint', 'https', undefined, /can not be reached.*SLUICE_ADDR/],
    ['no endpoint is given', '', undefined, /The endpoint is not known.*SLUICE_ADDR/],
    ['the token is not known', 'http', 'slt_x', /Who asks is not known.*sluice token create/],
    ['no token is given', 'http', '', /The token is not known.*SLUICE_TOKEN/],
  ]
  test('a wrong configuration of the provider is told, with what to do', async () => {
    const world = await openWorld()
    const tries = wrong.map(async ([what, address, token, said]) => {
      const url = /^https?$/.test(address) ? world.url.replace('http', address) : address
      const cli = await open(program, { ...world, url, admin: token ?? world.admin })
      cli.configure(project)
      expect([what, await cli.fail('plan')]).toEqual([what, expect.stringMatching(said)])
      await cli.close()
    })
    await Promise.all(tries)
  })

  test('a controller of another version is told apart', async () => {
    const world = await openWorld()
    const cli = await open(program, world)
    cli.configure(project)
    const { body } = await world.call('GET', '/v1/me')
    const say = (controllerVersion: string) =>
      world.intercept((request) =>
        request.url.endsWith('/v1/me') ? Response.json({ ...body, controllerVersion }) : undefined,
      )
    say('0.0.9')
    expect(await cli.fail('plan')).toMatch(
      /controller is too old for this provider.*Update the controller, or require version 0\.0 /,
    )
    say('9.1.0')
    expect(await cli.fail('plan')).toMatch(
      /controller is too new for this provider.*Require version 9 of the provider.*-upgrade/,
    )
    say('nightly')
    expect(await cli.succeed('plan')).toContain('The version of the controller is not known')
    await cli.close()
  })
})

describe.each(findPrograms())('over TLS with an authority of its own, by %s', (program) => {
  test('a controller is asked once its certificate is known', async () => {
    const { pem, keyPem } = createCertificate(new Date(), Uint8Array.of(1))
    const world = await openWorld({ key: keyPem, cert: pem })
    const cli = await open(program, { ...world, url: world.url.replace('127.0.0.1', 'localhost') })
    cli.write('ca.pem', pem)
    const write = (settings: string) =>
      cli.configure(
        `provider "sluice" {${settings}}\ndata "sluice_projects" "all" {}\noutput "ids" {\n  value = data.sluice_projects.all.ids\n}\n`,
      )
    write('')
    expect(await cli.fail('plan')).toMatch(
      /The controller's certificate is not trusted.*Give the certificate of its authority as `ca_certificate`/,
    )
    write('\n  ca_certificate = "ca.pem"\n')
    expect(await cli.fail('plan')).toContain(
      'ca_certificate must be a certificate in PEM: the text, not the name of its file',
    )
    write('\n  ca_certificate = file("ca.pem")\n')
    await cli.succeed('plan')
    write('\n  insecure = true\n')
    await cli.succeed('plan')
    await cli.close()
  })
})
