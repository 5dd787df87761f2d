/**
 * Terraform and OpenTofu keep the state of examples/terraform/state-backend in a controller on a nats-server of its own:
 * locked, larger than a message, read back, rolled back, its lock broken. Runs in a sandbox:
 *   scripts/check lab test/lab/state-backend.lab.ts
 */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import * as v from 'valibot'
import { stackSchema, stackVersionsSchema } from '../../controller/contract/stack.ts'
import { findFreePort } from '../../controller/control-plane/test-nats-server.ts'
import { readSettings } from '../../controller/settings.ts'
import { type StartedController, startController } from '../../controller/start-controller.ts'
import { findPrograms } from '../provider/command-line.ts'
import { repository } from './lab-client.ts'

setDefaultTimeout(120_000)

const folder = mkdtempSync(join(tmpdir(), 'sluice-states-'))
let controller: StartedController
let url: string
let token: string

beforeAll(async () => {
  const [api, bus] = [await findFreePort(), await findFreePort()]
  const settings = readSettings({
    SLUICE_LISTEN: `127.0.0.1:${api}`,
    SLUICE_NATS_LISTEN: `127.0.0.1:${bus}`,
    SLUICE_STATE_FOLDER: join(folder, 'controller'),
    SLUICE_UPLINK_CIDR: '198.18.32.0/20',
    SLUICE_UPLINK_GATEWAY: '198.18.32.1',
  })
  controller = await startController(settings, pino({ level: 'silent' }))
  url = `http://127.0.0.1:${api}`
  token = readFileSync(settings.adminTokenFile, 'utf8').trim()
})

afterAll(async () => {
  await controller?.close()
  rmSync(folder, { recursive: true, force: true })
})

const ask = async (method: string, path: string, body?: unknown) => {
  const sent = body === undefined ? {} : { body: JSON.stringify(body) }
  const headers = { authorization: `Bearer ${token}` }
  return await fetch(`${url}/v1/stacks/${path}`, { method, headers, ...sent })
}
const showStack = async (stack: string) => v.parse(stackSchema, await (await ask('GET', stack)).json())
const lockOf = (ID: string) => ({
  ID,
  Operation: 'OperationTypeApply',
  Who: 'anna@desk',
  Created: '2026-01-31T12:00:00.5Z',
  Version: '1',
})

for (const program of findPrograms()) {
  describe(program, () => {
    const stack = `own-${program}`
    const own = join(folder, program)
    const address = () => `${url}/v1/stacks/${stack}/state`
    const run = async (command: string, ...argv: readonly string[]) => {
      const child = Bun.spawn([program, command, ...argv, '-no-color'], {
        cwd: own,
        env: {
          ...{ PATH: process.env.PATH, HOME: folder, TF_IN_AUTOMATION: '1', CHECKPOINT_DISABLE: '1' },
          ...{ TF_HTTP_ADDRESS: address(), TF_HTTP_LOCK_ADDRESS: address(), TF_HTTP_UNLOCK_ADDRESS: address() },
          ...{ TF_HTTP_USERNAME: 'token', TF_HTTP_PASSWORD: token },
        },
        stdin: 'ignore',
        stdout: 'pipe',
        stderr: 'pipe',
      })
      const words = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
      return { exitCode: await child.exited, text: words.join('') }
    }
    const apply = (zone: string) => run('apply', '-auto-approve', '-input=false', `-var=zone=${zone}`)

    test('applies, and finds its state again', async () => {
      cpSync(join(repository, 'examples/terraform/state-backend'), own, { recursive: true })
      expect(await run('init', '-input=false')).toMatchObject({ exitCode: 0 })
      expect(await apply('one.test')).toMatchObject({ exitCode: 0 })
      expect(await showStack(stack)).toMatchObject({ status: 'free', state: { serial: 1, keyVersion: 1 } })
      expect((await run('output')).text).toContain('zone = "one.test"')
    })

    test('writes a state that is larger than a message', async () => {
      await Bun.write(
        join(own, 'noise'),
        Buffer.from(crypto.getRandomValues(new Uint8Array(3_000_000))).toString('base64'),
      )
      await Bun.write(join(own, 'more.tf'), more)
      expect(await apply('one.test')).toMatchObject({ exitCode: 0 })
      expect((await showStack(stack)).state?.bytes).toBeGreaterThan(8_000_000)
      await Bun.write(join(own, 'more.tf'), '')
      expect(await apply('two.test')).toMatchObject({ exitCode: 0 })
      expect((await showStack(stack)).state?.bytes).toBeLessThan(10_000)
    })

    test('waits for nobody who holds the lock, and says who that is', async () => {
      expect((await ask('LOCK', `${stack}/state`, lockOf('1-2-3'))).status).toBe(200)
      const refused = await apply('three.test')
      expect(refused.exitCode).toBe(1)
      // Terraform names the lock alone.
      for (const word of ['1-2-3', ...(program === 'tofu' ? ['anna@desk'] : [])]) expect(refused.text).toContain(word)
      expect((await run('output')).text).toContain('zone = "two.test"')
    })

    test('breaks a lock by its id, as an admin does', async () => {
      // Terraform does not say which lock it was told to break: then none is.
      const isTold = program === 'tofu'
      expect(await run('force-unlock', '-force', '1-2-3')).toMatchObject({ exitCode: isTold ? 0 : 1 })
      expect(await showStack(stack)).toMatchObject({ status: isTold ? 'free' : 'locked' })
      await ask('LOCK', `${stack}/state`, lockOf('1-2-3'))
      expect((await ask('DELETE', `${stack}/lock?id=4-5-6`)).status).toBe(409)
      expect((await ask('DELETE', `${stack}/lock?id=1-2-3`)).status).toBe(200)
      expect(await showStack(stack)).toMatchObject({ status: 'free' })
    })

    test('goes on from a state that was rolled back', async () => {
      const { items } = v.parse(stackVersionsSchema, await (await ask('GET', `${stack}/versions`)).json())
      const first = items.at(-1)?.version
      expect((await ask('POST', `${stack}/rollback`, { version: first })).status).toBe(200)
      expect((await run('output')).text).toContain('zone = "one.test"')
      expect(await apply('four.test')).toMatchObject({ exitCode: 0 })
    })
  })
}

/** Input and output: 8 MB of what hardly compresses. */
const more = `
resource "terraform_data" "more" {
  input = file("noise")
}
`
