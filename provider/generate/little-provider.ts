/** A little provider that has one of everything, for the generators' tests. It is never served. */

import {
  defineFunction,
  defineSchema,
  integer,
  list,
  object,
  portNumber,
  string,
  timeouts,
  withClient,
} from '../plugin/index.ts'

const { defineDataSource, defineEphemeralResource, defineProvider, defineResource } = withClient<null>()
const neverCalled = () => {
  throw new Error('BUG: it is not served')
}

const link = object({
  port: integer({ required: true, validators: [portNumber()], description: 'Of the host.' }),
  host: string({ optional: true, description: 'Its name.' }),
})

const note = defineResource({
  name: 'note',
  schema: defineSchema({
    description: 'A note.',
    attributes: {
      id: string({ computed: true, useStateForUnknown: true, description: 'Its id.' }),
      title: string({ required: true, description: 'One line.' }),
      color: string({ oneOf: ['red', 'blue'], default: 'red', requiresReplace: true, description: 'Of the paper.' }),
      size: integer({ optional: true, computed: true, description: 'In characters.' }),
      revision: integer({ computed: true, description: 'Counts changes.' }),
      password: string({ optional: true, writeOnly: true, description: 'Never kept.' }),
      links: list(link, { optional: true, description: 'To elsewhere.' }),
    },
    blocks: { timeouts: timeouts({ createSeconds: 60 }) },
  }),
  create: neverCalled,
  read: neverCalled,
  update: neverCalled,
  delete: neverCalled,
  importState: neverCalled,
})

const noteData = defineDataSource({
  name: 'note',
  schema: defineSchema({
    description: 'A note that is there.',
    attributes: { id: string({ required: true }), title: string({ computed: true }) },
  }),
  read: neverCalled,
})

const pass = defineEphemeralResource({
  name: 'pass',
  schema: defineSchema({ description: 'A pass.', attributes: { word: string({ computed: true, sensitive: true }) } }),
  open: neverCalled,
})

const shout = defineFunction({
  name: 'shout',
  summary: 'In upper case.',
  parameters: { text: string({ description: 'What.' }), times: integer({ nullable: true, description: 'How loud.' }) },
  returns: string(),
  call: neverCalled,
})

export const littleProvider = defineProvider({
  name: 'test',
  schema: defineSchema({ description: 'Notes.', attributes: { endpoint: string({ optional: true }) } }),
  configure: neverCalled,
  resources: [note],
  dataSources: [noteData],
  ephemeralResources: [pass],
  functions: [shout],
})
