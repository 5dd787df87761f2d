/** A whole provider: doors that exist while it runs. Its README has it word for word. */

import { bool, defineSchema, integer, ProviderError, portNumber, string, timeouts, withClient } from './index.ts'

type Door = { readonly id: string; readonly name: string; readonly port: number; readonly isLocked: boolean }

/** Stands for the client of an API. */
type Doors = Map<string, Door>

/** The definitions of a provider whose `configure` answers with Doors. */
const { defineResource, defineProvider } = withClient<Doors>()

const door = defineResource({
  name: 'door',
  schema: defineSchema({
    description: 'A way in.',
    attributes: {
      id: string({ computed: true, useStateForUnknown: true, description: 'Its id.' }),
      name: string({ required: true, requiresReplace: true, description: 'Unique.' }),
      port: integer({ default: 80, validators: [portNumber()], description: 'Where it is.' }),
      isLocked: bool({ optional: true, computed: true, description: 'Locked when nothing is said.' }),
    },
    blocks: { timeouts: timeouts({ createSeconds: 60 }) },
  }),
  create: ({ desired: { name, port, isLocked = true } }, { client, log }) => {
    if (client.has(name)) throw new ProviderError(`There is a door ${name} already`, { path: ['name'] })
    const made = { id: name, name, port, isLocked }
    client.set(made.id, made)
    log.info('made a door', { name })
    return made
  },
  read: ({ state }, { client }) => client.get(state.id) ?? null,
  update: ({ prior, changes }, { client }) => {
    const changed = { ...prior, ...changes }
    client.set(prior.id, changed)
    return changed
  },
  delete: ({ state }, { client }) => {
    client.delete(state.id)
  },
  importState: ({ id }, { client }) => client.get(id) ?? null,
})

export const doorsProvider = defineProvider({
  name: 'doors',
  schema: defineSchema({ description: 'Doors that exist while the provider runs.' }),
  configure: () => new Map(),
  resources: [door],
})
