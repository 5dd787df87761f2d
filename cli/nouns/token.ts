/** `sluice token`: who may call the API, and read-only credentials for a project's own events. */

import { writeFileSync } from 'node:fs'
import * as v from 'valibot'
import { type Token, tokenCreatedSchema, tokenSchema } from '../../controller/contract/project.ts'
import { projectField, text } from '../body-fields.ts'
import type { Noun } from '../noun.ts'
import { references } from '../resolve.ts'

export const tokenNoun: Noun<Token> = {
  ...references.token,
  description: 'who may call the API',
  schema: tokenSchema,
  columns: [
    { heading: 'name', of: ({ name }) => name },
    { heading: 'scope', of: ({ scope }) => scope },
    { heading: 'nats', of: ({ nats }) => (nats ? 'yes' : 'no') },
    { heading: 'expires', of: ({ expiresAt }) => expiresAt ?? 'never' },
    { heading: 'id', of: ({ id }) => id },
  ],
  create: {
    fields: [
      { ...projectField, description: 'whose; an admin token without it', isRequired: false },
      {
        flags: '--nats',
        description: "also NATS credentials for the project's events",
        field: 'nats',
        parse: () => true,
      },
      { flags: '--expires-at <time>', description: 'RFC 3339', field: 'expiresAt', parse: text },
    ],
    describe: describeToken,
  },
}

/** The token alone on its line, so that it can be caught; NATS credentials go to a file that only its owner reads. */
function describeToken(answer: unknown): string {
  const { token, name, natsCredentials } = v.parse(tokenCreatedSchema, answer)
  if (natsCredentials === null) return token
  const file = `${name.replaceAll(/[^A-Za-z0-9._-]/g, '-')}.creds`
  writeFileSync(file, natsCredentials.credentials, { mode: 0o600 })
  writeFileSync(`${file}.ca.pem`, natsCredentials.caCertificate, { mode: 0o600 })
  const { servers, stream, consumer, subject } = natsCredentials
  return [
    token,
    `credentials  ${file}, CA certificate in ${file}.ca.pem`,
    `servers      ${servers.join(', ')}`,
    `stream       ${stream}, consumer ${consumer}`,
    `subject      ${subject}`,
  ].join('\n')
}
