/** A little provider that the framework's tests serve: notes kept in memory. It is also what its README shows. */

import { randomUUID } from 'node:crypto'
import {
  defineFunction,
  defineSchema,
  integer,
  list,
  matches,
  object,
  portNumber,
  string,
  timeouts,
  withClient,
} from './index.ts'

type Notes = Map<string, { id: string; title: string; color: 'red' | 'blue'; size: number; revision: number }>
const { defineProvider, defineResource, defineDataSource } = withClient<Notes>()

const note = defineResource({
  name: 'note',
  schema: defineSchema({
    description: 'A note.',
    attributes: {
      id: string({ computed: true, useStateForUnknown: true, description: 'Its id.' }),
      title: string({ required: true, validators: [matches(/^[^\n]+$/, 'be one line')], description: 'One line.' }),
      color: string({ oneOf: ['red', 'blue'], default: 'red', requiresReplace: true, description: 'Of the paper.' }),
      size: integer({ optional: true, computed: true, description: 'In characters.' }),
      revision: integer({ computed: true, description: 'Counts changes.' }),
      password: string({ optional: true, writeOnly: true, description: 'Never kept.' }),
      links: list(
        object({ port: integer({ required: true, validators: [portNumber()] }), host: string({ optional: true }) }),
        {
          optional: true,
        },
      ),
    },
    blocks: { timeouts: timeouts({ createSeconds: 60 }) },
  }),
  create: ({ desired }, { client }) => {
    const created = { ...desired, id: randomUUID(), size: desired.size ?? desired.title.length, revision: 1 }
    client.set(created.id, created)
    return created
  },
  read: ({ state }, { client }) => {
    const found = client.get(state.id)
    return found === undefined ? null : { ...state, ...found }
  },
  update: ({ prior, desired, changes }, { client }) => {
    const updated = { ...prior, ...changes, size: desired.size ?? desired.title.length, revision: prior.revision + 1 }
    client.set(prior.id, updated)
    return updated
  },
  delete: ({ state }, { client }) => {
    client.delete(state.id)
  },
  importState: ({ id }, { client }) => client.get(id) ?? null,
})

const noteData = defineDataSource({
  name: 'note',
  schema: defineSchema({
    attributes: {
      id: string({ required: true }),
      title: string({ computed: true }),
    },
  }),
  read: ({ config }, { client }) => ({ id: config.id, title: client.get(config.id)?.title ?? '' }),
})

const shout = defineFunction({
  name: 'shout',
  summary: 'In upper case.',
  parameters: { text: string(), times: integer({ nullable: true }) },
  returns: string(),
  call: ({ text, times }) => text.toUpperCase() + '!'.repeat(times ?? 1),
})

export const testProvider = defineProvider({
  name: 'test',
  schema: defineSchema({ attributes: { endpoint: string({ optional: true }) } }),
  configure: () => new Map(),
  resources: [note],
  dataSources: [noteData],
  functions: [shout],
})
