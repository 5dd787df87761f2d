/**
 * The whole world of a lab at one moment: every object of the store, read past the controller, and what each host's
 * kernel and processes hold. Reads only.
 */

import { readdirSync, readFileSync } from 'node:fs'
import pino from 'pino'
import * as v from 'valibot'
import { openJetStreamStore } from '../../controller/control-plane/jetstream-store.ts'
import type { Kind, StoredObject } from '../../controller/control-plane/store.ts'
import { loadBalancerNameKind } from '../../controller/names/name-object.ts'
import { connectController } from '../../controller/nats/connections.ts'
import { openIdentity } from '../../controller/nats/identity.ts'
import * as objects from '../../controller/objects.ts'
import { controllerAddress, controllerFolder, enterArgv, type LabSettings, natsPort, openLab } from '../../lab/lab.ts'

export interface StoreContent {
  /** All objects of a kind, as the store's leader has them. */
  of<Value>(kind: Kind<Value>): readonly StoredObject<Value>[]
  has(id: string): boolean
  count: number
}

export interface HostContent {
  readonly name: string
  readonly namespaces: readonly string[]
  /** The ids in the aliases of links that bear one of ours. */
  readonly aliases: readonly string[]
}

export interface World {
  readonly store: StoreContent
  readonly hosts: readonly HostContent[]
  /** `<object id>/<daemon>` of every process that an agent has marked, on whichever host. */
  readonly daemons: readonly string[]
}

const kinds = Object.values({ ...objects, loadBalancerNameKind }).filter(
  (one): one is Kind<never> => typeof one === 'object' && 'dataType' in one,
)

export async function readWorld(settings: LabSettings): Promise<World> {
  const store = await readStore(settings)
  const { state } = openLab(settings)
  const hosts = await Promise.all(state.hosts.map(({ name }) => readHost(settings, name)))
  return { store, hosts, daemons: readDaemons() }
}

/** Past the controller: by a connection of its own, with the keys of the bus's folder. */
export async function readStore(settings: LabSettings): Promise<StoreContent> {
  const folder = `${controllerFolder(settings)}/nats`
  const address = {
    servers: [`tls://${controllerAddress}:${natsPort}`],
    caCertificate: readFileSync(`${folder}/ca.pem`, 'utf8'),
  }
  const connection = await connectController(address, await openIdentity(folder), 'control')
  try {
    const store = await openJetStreamStore({ connection, logger: pino({ level: 'silent' }) })
    const byKind = new Map(kinds.map((kind) => [kind.name, store.snapshot(kind)]))
    await store.close()
    const ids = new Set([...byKind.values()].flatMap((all) => all.map(({ id }) => id)))
    return {
      of: <Value>(kind: Kind<Value>) => (byKind.get(kind.name) ?? []) as readonly StoredObject<Value>[],
      has: (id) => ids.has(id),
      count: [...byKind.values()].reduce((sum, all) => sum + all.length, 0),
    }
  } finally {
    await connection.close()
  }
}

const linksSchema = v.array(v.object({ ifalias: v.optional(v.string()) }))
const aliasPrefix = 'sluice:'

async function readHost(settings: LabSettings, name: string): Promise<HostContent> {
  const lab = openLab(settings)
  const on = async (...command: readonly string[]) => {
    const { exitCode, stdout, stderr } = await lab.run(enterArgv(lab, name, command))
    if (exitCode !== 0) throw new Error(`${command.join(' ')} on ${name} ended with ${exitCode}: ${stderr}`)
    return stdout
  }
  const namespaces = (await on('ip', 'netns', 'list')).split('\n').flatMap((line) => line.split(' ')[0] || [])
  const links = v.parse(linksSchema, JSON.parse(await on('ip', '-json', 'link', 'show')))
  const aliases = links.flatMap(({ ifalias }) =>
    ifalias?.startsWith(aliasPrefix) ? [ifalias.slice(aliasPrefix.length)] : [],
  )
  return { name, namespaces, aliases: [...new Set(aliases)] }
}

function readDaemons(): readonly string[] {
  const marks = readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return []
    const [, mark] = /(?:^|\0)SLUICE_DAEMON=([^\0/]+\/[^\0/]+)/.exec(readOrEmpty(`/proc/${entry}/environ`)) ?? []
    return mark === undefined ? [] : [mark]
  })
  return [...new Set(marks)].toSorted()
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
