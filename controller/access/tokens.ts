/**
 * Tokens: who may ask. A bearer is `slt_<25 characters of the token's id>_<secret>`; only the hash of the secret is
 * kept, and it is compared in constant time. A project's token sees its project alone, an admin's everything.
 */

import { timingSafeEqual } from 'node:crypto'
import { type Outcome, refuse, succeed } from '../contract/problem.ts'
import type { Token, TokenCreate, TokenCreated } from '../contract/project.ts'
import { idPattern } from '../control-plane/shard-key.ts'
import { type EventDraft, retryAfterSeconds, type StoredObject } from '../control-plane/store.ts'
import { projectKind, systemClient, type TokenValue, tokenKind } from '../objects.ts'
import type { Caller, ControllerContext, RequestInfo, Services } from '../services.ts'
import { removeObject, updateObject } from './change-object.ts'
import { declareObject } from './declare-object.ts'
import { createObjectId, createSeed } from './object-id.ts'
import { createOwnRequest } from './own-request.ts'
import { refuseField, refuseForbidden, refuseUnavailable } from './problems.ts'
import { readProject } from './quota.ts'
import { resume } from './remove-project.ts'
import { reservationGraceMilliseconds } from './reserve.ts'
import { findVisible, listObjects, maySee, viewObject } from './view.ts'

/** Makes and revokes the NATS user with which a project's own events are read. It rejects when the bus is not there. */
export interface EventCredentialsIssuer {
  issue(reader: {
    readonly projectId: string
    readonly tokenId: string
    /** RFC 3339; null: until it is revoked. */
    readonly expiresAt: string | null
  }): Promise<EventCredentials & { readonly publicKey: string }>
  revoke(publicKey: string): Promise<void>
}

type EventCredentials = NonNullable<TokenCreated['natsCredentials']>

const bearerPattern = /^slt_([0-9a-hjkmnp-tv-z]{25})_([0-9a-f]{64})$/

export function createTokensService(context: ControllerContext, issuer: EventCredentialsIssuer): Services['tokens'] {
  return {
    async create(input, request) {
      if (!maySee(request.caller, input.projectId ?? null)) {
        if (input.projectId === undefined) return refuseForbidden("make admins' tokens")
        return refuseField('projectId', `there is no project ${input.projectId}`, 'Give the id of your own project.')
      }
      return createToken(context, issuer, input, request)
    },

    async list(query, request) {
      return succeed(listObjects(context, { kind: tokenKind, projectIdOf, view: viewToken }, query, request))
    },

    async show(id, request) {
      const found = await findVisible(context, tokenKind, id, projectIdOf, request)
      return found.ok ? succeed(viewToken(found.value)) : found
    },

    async update() {
      throw new Error('BUG: a token has nothing that could be changed, and no route for it')
    },

    async remove(id, request) {
      const found = await findVisible(context, tokenKind, id, projectIdOf, request)
      return found.ok ? removeToken(context, issuer, found.value, request) : found
    },

    authenticate: (bearer) => authenticate(context, bearer),
  }
}

/** A bearer of a token that does not exist yet: what the first admin is given. */
export function createBearer(context: Pick<ControllerContext, 'now' | 'random'>): string {
  const id = createObjectId(tokenKind, systemClient, createSeed(context.now(), context.random))
  return describeBearer(id, createSecret(context.random))
}

/**
 * Makes an admin's bearer valid, made by `createBearer` and kept outside the store. Idempotent: called at each start.
 * Null: an admin has deleted it since, and it stays so.
 * @example await admitAdminBearer(context, (await readAdminToken()) ?? (await writeAdminToken(createBearer(context))))
 */
export async function admitAdminBearer(context: ControllerContext, bearer: string): Promise<Outcome<Token | null>> {
  const parsed = parseBearer(bearer)
  if (parsed === null) return refuseField('token', 'is not of the form slt_…', 'Remove it, and a new one is made.')
  const { id } = parsed
  const known = await context.store.getOrTombstone(tokenKind, id)
  if (known !== null && known.value === null) return succeed(null)
  const value: TokenValue = {
    name: `first admin ${id.slice(-6)}`,
    scope: 'admin',
    projectId: null,
    secretHash: hash(parsed.secret),
    expiresAt: null,
    natsPublicKey: null,
  }
  const request = createOwnRequest(context, `admit ${id}`)
  const events = [describeEvent('created', id, value)]
  const declared = await declareObject(
    context,
    { kind: tokenKind, id, scope: systemClient, name: value.name, value, events },
    request,
  )
  return declared.ok ? succeed(viewToken(declared.value)) : declared
}

const projectIdOf = ({ value }: StoredObject<TokenValue>): string | null => value.projectId
const hash = (secret: string): string => new Bun.CryptoHasher('sha256').update(secret).digest('hex')
/** 256 bits, in hex: nothing in it needs quoting anywhere. */
const createSecret = (random: (bytes: number) => Uint8Array): string => Buffer.from(random(32)).toString('hex')
const describeBearer = (id: string, secret: string): string => `slt_${id.slice(id.indexOf('_') + 1)}_${secret}`

function parseBearer(bearer: string): { readonly id: string; readonly secret: string } | null {
  const [, characters, secret] = bearerPattern.exec(bearer) ?? []
  const id = `${tokenKind.prefix}_${characters}`
  return characters === undefined || secret === undefined || !idPattern.test(id) ? null : { id, secret }
}

async function authenticate(context: ControllerContext, bearer: string): Promise<Caller | null> {
  const parsed = parseBearer(bearer)
  if (parsed === null) return null
  const token = await context.store.get(tokenKind, parsed.id)
  // Hashed before it is known whether there is such a token, so that the time tells nothing of that.
  const given = Buffer.from(hash(parsed.secret), 'hex')
  if (token === null || !timingSafeEqual(given, Buffer.from(token.value.secretHash, 'hex'))) return null
  const { expiresAt, scope, projectId, deletingSince } = token.value
  if (deletingSince !== undefined) return null
  if (expiresAt !== null && Date.parse(expiresAt) <= context.now()) return null
  if (projectId !== null && (await context.store.get(projectKind, projectId)) === null) return null
  return { tokenId: token.id, scope, projectId }
}

function viewToken(object: StoredObject<TokenValue>): Token {
  const { name, projectId, scope, expiresAt, natsPublicKey } = object.value
  return {
    ...viewObject(object, { name, projectId }),
    status: object.value.deletingSince === undefined ? 'active' : 'deleting',
    scope,
    expiresAt,
    nats: natsPublicKey !== null,
  }
}

const describeEvent = (type: 'created' | 'deleted', id: string, value: TokenValue): EventDraft => ({
  type: `token.${type}`,
  projectId: value.projectId,
  subject: id,
  data: { name: value.name, scope: value.scope },
})

/**
 * The secret is answered once and kept nowhere, so a repetition (whose first answer was lost) gives the token a new one.
 */
async function createToken(
  context: ControllerContext,
  issuer: EventCredentialsIssuer,
  input: TokenCreate,
  request: RequestInfo,
): Promise<Outcome<TokenCreated>> {
  const checked = await checkInput(context, input)
  if (!checked.ok) return checked
  const projectId = input.projectId ?? null
  const id = createObjectId(tokenKind, projectId ?? systemClient, request.seed)
  const secret = input.secret ?? createSecret(context.random)
  const value: TokenValue = {
    name: input.name,
    scope: projectId === null ? 'admin' : 'project',
    projectId,
    secretHash: hash(secret),
    expiresAt: input.expiresAt ?? null,
    natsPublicKey: null,
  }
  const events = [describeEvent('created', id, value)]
  const scope = projectId ?? systemClient
  const declaration = { kind: tokenKind, id, scope, name: input.name, value, events }
  const declared = await declareObject(context, declaration, request)
  if (!declared.ok) return declared
  const issued = await issueCredentials(context, issuer, declared.value, input.nats)
  if (!issued.ok) {
    await removeToken(context, issuer, declared.value, { ...request, actionId: `${request.actionId}-undo` })
    return issued
  }
  const token = await setSecret(context, declared.value, secret, issued.value?.publicKey ?? null, request)
  if (!token.ok) return token
  const natsCredentials = issued.value?.credentials ?? null
  return succeed({ ...viewToken(token.value), token: describeBearer(id, secret), natsCredentials })
}

/** Null: none are wanted. What an earlier attempt made is revoked. */
async function issueCredentials(
  context: ControllerContext,
  issuer: EventCredentialsIssuer,
  token: StoredObject<TokenValue>,
  isWanted: boolean,
): Promise<Outcome<{ readonly publicKey: string; readonly credentials: EventCredentials } | null>> {
  const { projectId, natsPublicKey, expiresAt } = token.value
  if (!isWanted || projectId === null) return succeed(null)
  try {
    if (natsPublicKey !== null) await issuer.revoke(natsPublicKey)
    const { publicKey, ...credentials } = await issuer.issue({ projectId, tokenId: token.id, expiresAt })
    return succeed({ publicKey, credentials })
  } catch (cause) {
    return refuseBus(context, cause)
  }
}

function refuseBus(context: ControllerContext, cause: unknown) {
  context.logger.error({ err: cause }, 'the bus did not take a change of its readers')
  return refuseUnavailable('the bus did not answer', retryAfterSeconds)
}

async function checkInput(context: ControllerContext, input: TokenCreate): Promise<Outcome<true>> {
  if (input.nats && input.projectId === undefined) {
    return refuseField('nats', 'needs projectId: events are read by project', 'Give the projectId, or leave nats out.')
  }
  if (input.expiresAt !== undefined && Date.parse(input.expiresAt) <= context.now()) {
    return refuseField('expiresAt', 'lies in the past', 'Give a time to come, or leave it out.')
  }
  if (input.projectId === undefined) return succeed(true)
  const project = await readProject(context, input.projectId)
  return project.ok ? succeed(true) : project
}

/** Writes what was made for this answer, unless the object was just declared with it. */
async function setSecret(
  context: ControllerContext,
  token: StoredObject<TokenValue>,
  secret: string,
  natsPublicKey: string | null,
  request: RequestInfo,
): Promise<Outcome<StoredObject<TokenValue>>> {
  const secretHash = hash(secret)
  if (token.value.secretHash === secretHash && token.value.natsPublicKey === natsPublicKey) return succeed(token)
  const { traceparent } = request
  return updateObject(
    context,
    {
      kind: tokenKind,
      id: token.id,
      apply: ({ value }) => ({ kind: 'write', value: { ...value, secretHash, natsPublicKey } }),
    },
    { actionId: `secret ${secretHash.slice(0, 16)}`, traceparent },
  )
}

/**
 * A token with credentials for events is marked first, and lets nobody in from then on; it goes when these are revoked.
 * Cut off between, it is finished by the sweep.
 */
async function removeToken(
  context: ControllerContext,
  issuer: EventCredentialsIssuer,
  token: StoredObject<TokenValue>,
  request: RequestInfo,
): Promise<Outcome<boolean>> {
  const { natsPublicKey } = token.value
  if (token.value.scope === 'admin' && isLastAdmin(context, token.id)) {
    return refuse({
      code: 'in-use',
      title: 'It is the last one',
      detail: 'Without this token there would be no admin left.',
      remedy: 'Make another admin token first.',
      errors: [{ field: 'id', message: 'is the last admin token' }],
    })
  }
  if (natsPublicKey === null) return finishRemoval(context, token, request)
  const deletingSince = new Date(context.now()).toISOString()
  const marked = await updateObject(
    context,
    { kind: tokenKind, id: token.id, apply: ({ value }) => ({ kind: 'write', value: { ...value, deletingSince } }) },
    { ...request, actionId: `${request.actionId}-mark` },
  )
  if (!marked.ok) return marked
  const { expectedVersion: _, ...unconditional } = request
  return revokeAndFinish(context, issuer, marked.value, unconditional)
}

/** Finishes what a controller that died has left: a mark that is old. Called by the sweep; never fails. */
export async function resumeTokenRemovals(context: ControllerContext, issuer: EventCredentialsIssuer): Promise<void> {
  for (const token of context.store.snapshot(tokenKind)) {
    const { id, version, value } = token
    if (value.deletingSince === undefined) continue
    if (context.now() - Date.parse(value.deletingSince) <= reservationGraceMilliseconds) continue
    const request = createOwnRequest(context, `resume ${id} ${version}`)
    await resume(context, id, () => revokeAndFinish(context, issuer, token, request))
  }
}

async function revokeAndFinish(
  context: ControllerContext,
  issuer: EventCredentialsIssuer,
  token: StoredObject<TokenValue>,
  request: RequestInfo,
): Promise<Outcome<boolean>> {
  try {
    if (token.value.natsPublicKey !== null) await issuer.revoke(token.value.natsPublicKey)
  } catch (cause) {
    return refuseBus(context, cause)
  }
  return finishRemoval(context, token, request)
}

const finishRemoval = (context: ControllerContext, { id, value }: StoredObject<TokenValue>, request: RequestInfo) =>
  removeObject(
    context,
    {
      kind: tokenKind,
      id,
      scopes: [value.projectId ?? systemClient],
      events: (current) => [describeEvent('deleted', id, current.value)],
    },
    request,
  )

function isLastAdmin(context: ControllerContext, id: string): boolean {
  const others = context.store
    .snapshot(tokenKind, systemClient)
    .filter(({ value }) => value.scope === 'admin')
    .filter(({ value }) => value.expiresAt === null || Date.parse(value.expiresAt) > context.now())
  return others.every((token) => token.id === id)
}
