/** A little provider that the framework's tests serve: notes, each a file of a folder. Its README shows it too. */

import { randomUUID } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type Desired,
  defineFunction,
  defineSchema,
  integer,
  list,
  map,
  matches,
  number,
  object,
  ProviderError,
  portNumber,
  type Result,
  set,
  string,
  timeouts,
  withClient,
} from './index.ts'

type Note = { readonly id: string; readonly title: string; readonly revision: number; readonly [key: string]: unknown }

/** Stands for the client of an API. */
type Notes = {
  readonly find: (id: string) => Note | null
  readonly put: (note: Note) => Note
  readonly remove: (id: string) => void
}

const notesIn = (folder: string): Notes => {
  mkdirSync(folder, { recursive: true })
  const fileOf = (id: string) => join(folder, `${encodeURIComponent(id)}.json`)
  return {
    find: (id) => {
      try {
        return JSON.parse(readFileSync(fileOf(id), 'utf8'))
      } catch {
        return null
      }
    },
    put: (note) => {
      writeFileSync(fileOf(note.id), JSON.stringify(note))
      return note
    },
    remove: (id) => rmSync(fileOf(id), { force: true }),
  }
}

const { defineProvider, defineResource, defineDataSource, defineEphemeralResource } = withClient<Notes>()

const noteSchema = defineSchema({
  version: 1,
  description: 'A note.',
  attributes: {
    id: string({ computed: true, useStateForUnknown: true, description: 'Its id.' }),
    title: string({ required: true, validators: [matches(/^[^\n]+$/, 'be one line')], description: 'One line.' }),
    color: string({ oneOf: ['red', 'blue'], default: 'red', requiresReplace: true, description: 'Of the paper.' }),
    size: integer({ optional: true, computed: true, description: 'In characters; counted when it is not given.' }),
    weight: number({ optional: true, description: 'In grams.' }),
    revision: integer({ computed: true, description: 'Counts changes.' }),
    password: string({ optional: true, writeOnly: true, description: 'Never kept.' }),
    secret: string({ optional: true, sensitive: true, description: 'Not shown.' }),
    tags: set(string(), { optional: true, description: 'In no order.' }),
    labels: map(string(), { optional: true, description: 'By name.' }),
    links: list(
      object({
        port: integer({ required: true, validators: [portNumber()], description: 'Of the host.' }),
        host: string({ default: 'localhost', description: 'Its name.' }),
        url: string({ computed: true, description: 'Made of both.' }),
      }),
      { optional: true, description: 'To elsewhere.' },
    ),
  },
  blocks: { timeouts: timeouts({ createSeconds: 60 }) },
})

const note = defineResource({
  name: 'note',
  schema: noteSchema,
  create: async ({ desired }, { client, log, signal, keep }) => {
    const { password, ...wanted } = desired
    const created = { ...complete(wanted), id: randomUUID(), revision: 1 }
    client.put(created)
    keep({ id: created.id, title: created.title })
    log.info('created a note', { id: created.id, hasPassword: password !== null })
    if (desired.title === 'slow') await forever(signal)
    if (desired.title === 'slow at last') {
      keep(created)
      await forever(signal)
    }
    if (desired.title === 'broken') throw new Error('the pencil broke')
    return created
  },
  read: ({ state }, { client }) => {
    const found = client.find(state.id)
    return found === null ? null : { ...state, ...found }
  },
  update: ({ prior, desired, changes: { password, ...changes } }, { client }) => {
    const { password: unseen, ...wanted } = desired
    const updated = { ...prior, ...changes, ...complete(wanted), id: prior.id, revision: prior.revision + 1 }
    client.put(updated)
    return updated
  },
  delete: ({ state }, { client }) => client.remove(state.id),
  importState: ({ id }, { client }) => {
    const found = client.find(id)
    return found === null ? null : (found as Result<typeof noteSchema>)
  },
  upgradeState: { 0: ({ headline, ...state }) => ({ ...state, title: headline ?? '' }) },
  modifyPlan: ({ prior, planned }) => {
    const isRenamed = prior !== null && planned !== null && planned.title !== prior.title
    return isRenamed && planned.title === 'moved' ? { requiresReplace: [['title']] } : undefined
  },
})

type Wanted = Omit<Desired<typeof noteSchema>, 'password'>

/** What the API of notes decides. */
const complete = (wanted: Wanted) => ({
  ...wanted,
  size: wanted.size ?? wanted.title.length,
  links: wanted.links?.map((link) => ({ ...link, url: `http://${link.host}:${link.port}` })) ?? null,
})

const forever = (signal: AbortSignal) =>
  new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })

const noteData = defineDataSource({
  name: 'note',
  schema: defineSchema({
    description: 'A note that is there.',
    attributes: {
      id: string({ required: true, description: 'Its id.' }),
      title: string({ computed: true, description: 'Its title.' }),
    },
  }),
  read: ({ config }, { client }) => {
    const found = client.find(config.id)
    if (found === null) throw new ProviderError('There is no such note', { path: ['id'] })
    return { id: found.id, title: found.title }
  },
})

const pass = defineEphemeralResource({
  name: 'pass',
  schema: defineSchema({
    description: 'A password for a while.',
    attributes: {
      length: integer({ default: 8, description: 'Of the word.' }),
      word: string({ computed: true, sensitive: true, description: 'The password.' }),
    },
  }),
  open: ({ config }) => ({ result: { ...config, word: 'x'.repeat(config.length) }, handle: { length: config.length } }),
  renew: () => ({ renewAt: new Date(Date.now() + 60_000) }),
  close: ({ handle }, { log }) => log.info('closed', handle),
})

const shout = defineFunction({
  name: 'shout',
  summary: 'In upper case.',
  parameters: {
    text: string({ description: 'What to shout.' }),
    times: integer({ nullable: true, description: 'How many exclamation marks; one when it is null.' }),
  },
  returns: string(),
  call: ({ text, times }) => {
    if (text === '') throw new ProviderError('There is nothing to shout', { path: ['text'] })
    return text.toUpperCase() + '!'.repeat(times ?? 1)
  },
})

export const testProvider = defineProvider({
  name: 'test',
  schema: defineSchema({ attributes: { folder: string({ required: true, description: 'Where notes are.' }) } }),
  configure: ({ config }) => notesIn(config.folder),
  resources: [note],
  dataSources: [noteData],
  ephemeralResources: [pass],
  functions: [shout],
})
