/** A whole controller on a nats-server of its own: what is done is logged, learned and read ahead. */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import * as v from 'valibot'
import { prefetchSchema } from '../../contract/prefetch.ts'
import { findFreePort } from '../../control-plane/test-nats-server.ts'
import { readSettings } from '../../settings.ts'
import { type StartedController, startController } from '../../start-controller.ts'

setDefaultTimeout(120_000)

let folder: string
let controller: StartedController

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-prefetch-'))
  const environment = {
    SLUICE_UPLINK_CIDR: '198.18.32.0/20',
    SLUICE_UPLINK_GATEWAY: '198.18.32.1',
    SLUICE_STATE_FOLDER: folder,
    SLUICE_LISTEN: `127.0.0.1:${await findFreePort()}`,
    SLUICE_NATS_LISTEN: `127.0.0.1:${await findFreePort()}`,
    // Nothing is too dear, so that what is read ahead does not depend on how fast this machine is.
    SLUICE_PREFETCH_PRICE: '0',
    SLUICE_PREFETCH_BUDGET_SHARE: '1',
    SLUICE_PREFETCH_AGE_SECONDS: '600',
  }
  controller = await startController(readSettings(environment), pino({ level: 'silent' }))
})

afterAll(async () => {
  await controller.close()
  await rm(folder, { recursive: true, force: true })
})

async function call(method: string, path: string, body?: unknown) {
  const token = (await readFile(join(folder, 'admin-token'), 'utf8')).trim()
  const response = await fetch(`${controller.urls[0]}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const word = /cache;desc=(\w+)/.exec(response.headers.get('server-timing') ?? '')?.[1] ?? 'untold'
  return { word, body: v.parse(v.record(v.string(), v.unknown()), await response.json()) }
}

const showPrefetch = async () => v.parse(prefetchSchema, (await call('GET', '/v1/prediction/prefetch')).body)

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`waited in vain: ${what}`)
    await Bun.sleep(20)
  }
}

test('what a user reads next is there before it is asked for, as new as what was written', async () => {
  const { id: projectId } = (await call('POST', '/v1/projects', { name: 'shop', user: 'john' })).body
  const { id } = (await call('POST', '/v1/networks', { name: 'web', projectId })).body
  let turn = 1
  await until('a history that was read ahead', async () => {
    await call('PATCH', `/v1/networks/${id}`, { name: `web-${turn}` })
    turn++
    await call('GET', `/v1/networks/${id}`)
    // Of each turn, what has been read ahead by the time that all of it is learned.
    const { log } = await showPrefetch()
    await until('all to be learned', async () => (await showPrefetch()).log.written > log.written)
    const { word, body } = await call('GET', `/v1/networks/${id}/history`)
    expect((body.items as { version: number }[]).at(-1)?.version).toBe(turn)
    return word === 'prefetched'
  })
})

test('lists of events and measures are kept, and a list is read anew once something has happened', async () => {
  const events = () => call('GET', '/v1/events?format=json&type=network.*')
  await until('a list that is kept', async () => (await events()).word === 'hit')
  const before = (await events()).body.items as readonly unknown[]
  const { items } = (await call('GET', '/v1/projects')).body as { readonly items: readonly { readonly id: string }[] }
  await call('POST', '/v1/networks', { name: 'late', projectId: items[0]?.id })
  await until(
    'the new event in the list',
    async () => ((await events()).body.items as unknown[]).length > before.length,
  )
})
