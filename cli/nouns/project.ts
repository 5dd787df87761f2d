/** `sluice project`. */

import { type Project, projectSchema } from '../../controller/contract/project.ts'
import { type BodyField, number, text } from '../body-fields.ts'
import type { Noun } from '../noun.ts'
import { references } from '../resolve.ts'

const quotaFields: readonly BodyField[] = ['pools', 'shards', 'networks', 'machines', 'load-balancers'].map((noun) => ({
  flags: `--quota-${noun} <number>`,
  description: `at most so many ${noun.replace('-', ' ')}`,
  field: `quota.${noun === 'load-balancers' ? 'loadBalancers' : noun}`,
  parse: number,
}))

export const projectNoun: Noun<Project> = {
  ...references.project,
  description: 'tenants: an owner and a quota',
  schema: projectSchema,
  columns: [
    { heading: 'name', of: ({ name }) => name },
    { heading: 'user', of: ({ user }) => user },
    { heading: 'slug', of: ({ slug }) => slug },
    { heading: 'id', of: ({ id }) => id },
  ],
  create: {
    fields: [
      { flags: '--user <user>', description: 'the owner', field: 'user', parse: text, isRequired: true },
      { flags: '--slug <label>', description: 'a DNS label; made from the name else', field: 'slug', parse: text },
      ...quotaFields,
    ],
  },
  update: {
    fields: [{ flags: '--new-name <name>', description: 'its new name', field: 'name', parse: text }, ...quotaFields],
  },
}
