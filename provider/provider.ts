/** The provider as data: its own configuration, and everything that it declares. `main.ts` serves it. */

import { callerSchema } from '../controller/contract/status.ts'
import packageJson from '../package.json' with { type: 'json' }
import { createApi } from './api/api.ts'
import { ApiError } from './api/api-error.ts'
import { checkVersion } from './api/check-version.ts'
import type { Client } from './api/client.ts'
import { createCreations } from './api/creations.ts'
import { createViews } from './api/views.ts'
import { functions } from './functions/functions.ts'
import {
  bool,
  type CallContext,
  defineSchema,
  type JsonObject,
  ProviderError,
  string,
  validator,
} from './plugin/index.ts'
import { defineProvider, describeRefusal } from './resources/define.ts'
import { hostDataSources, hostJoinToken, hostResource } from './resources/host.ts'
import { loadBalancerDataSources, loadBalancerResource } from './resources/load-balancer.ts'
import { loadBalancerMemberDataSources, loadBalancerMemberResource } from './resources/load-balancer-member.ts'
import { machineDataSources, machineResource } from './resources/machine.ts'
import { networkDataSources, networkResource } from './resources/network.ts'
import { poolDataSources, poolResource } from './resources/pool.ts'
import { projectDataSources, projectResource } from './resources/project.ts'
import { shardDataSources, shardResource } from './resources/shard.ts'
import { shardAttachmentResource } from './resources/shard-attachment.ts'
import { ephemeralToken, tokenDataSources, tokenResource } from './resources/token.ts'

export const providerVersion = packageJson.version
export const providerAddress = 'registry.terraform.io/sluice/sluice'

/** What the process gives: its environment, its folder, its run. */
export interface ProviderMeans {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly fetch: typeof fetch
  /** Null: nothing is remembered over a killed run. */
  readonly creationsFolder: string | null
  readonly run: string
  /** Milliseconds since 1970; left out: by the system's clock. */
  readonly now?: () => number
  /** Told of the client of each configuration. */
  readonly onClient?: (client: Client) => void
}

const schema = defineSchema({
  description:
    'Declares private networks, machines and load balancers of Sluice. Where the controller is and who asks may be left to SLUICE_ADDR and SLUICE_TOKEN.',
  attributes: {
    endpoint: string({
      optional: true,
      validators: [
        validator('be an address as http://127.0.0.1:7480, without a path', (text: string) => {
          const url = URL.canParse(text) ? new URL(text) : null
          return url !== null && /^https?:$/.test(url.protocol) && url.pathname === '/' && url.search === ''
        }),
      ],
      description: 'Where the controller is, as http://127.0.0.1:7480; SLUICE_ADDR when left out.',
    }),
    token: string({
      optional: true,
      sensitive: true,
      description: "The token to ask with, `slt_…`: an admin's or a project's; SLUICE_TOKEN when left out.",
    }),
    caCertificate: string({
      optional: true,
      validators: [
        validator('be a certificate in PEM: the text, not the name of its file', (text: string) =>
          text.includes('-----BEGIN CERTIFICATE-----'),
        ),
      ],
      description:
        "The certificate of the authority that the controller's is signed by, in PEM; the system's authorities when left out.",
    }),
    insecure: bool({
      optional: true,
      description: "True: the controller's certificate is not checked, so that anybody could pretend to be it.",
    }),
  },
})

/** So long a controller that is being restarted is waited for; at the beginning of a run, when it may as well be a wrong address, less. */
const retrySeconds = 60
const firstRetrySeconds = 5

export function createProvider(means: ProviderMeans) {
  return defineProvider({
    name: 'sluice',
    schema,
    async configure({ config }, context) {
      const endpoint = config.endpoint ?? means.environment.SLUICE_ADDR
      const token = config.token ?? means.environment.SLUICE_TOKEN
      if (endpoint === undefined || endpoint === '')
        throw refuseMissing('endpoint', 'SLUICE_ADDR', 'http://127.0.0.1:7480')
      if (token === undefined || token === '') throw refuseMissing('token', 'SLUICE_TOKEN', 'slt_…')
      const options = {
        endpoint,
        token,
        caCertificate: config.caCertificate ?? undefined,
        isInsecure: config.insecure ?? false,
      }
      const { now = Date.now } = means
      const apiMeans = describeMeans(means, context)
      await checkController(createApi({ ...options, retrySeconds: firstRetrySeconds }, apiMeans), context)
      const client: Client = {
        ...createViews(createApi({ ...options, retrySeconds }, apiMeans), now),
        creations: createCreations({
          folder: means.creationsFolder,
          endpoint,
          run: means.run,
          createKey,
          log: apiMeans.log,
        }),
        createKey,
        now,
        sleep,
      }
      means.onClient?.(client)
      return client
    },
    resources: [
      projectResource,
      poolResource,
      shardResource,
      shardAttachmentResource,
      networkResource,
      machineResource,
      loadBalancerResource,
      loadBalancerMemberResource,
      hostResource,
      tokenResource,
    ],
    dataSources: [
      ...projectDataSources,
      ...poolDataSources,
      ...shardDataSources,
      ...networkDataSources,
      ...machineDataSources,
      ...loadBalancerDataSources,
      ...loadBalancerMemberDataSources,
      ...hostDataSources,
      ...tokenDataSources,
    ],
    ephemeralResources: [hostJoinToken, ephemeralToken],
    functions,
  })
}

/** As it is served and documented. */
export const sluiceProvider = createProvider({
  environment: {},
  fetch,
  creationsFolder: null,
  run: '',
})

const createKey = () => crypto.randomUUID()

function describeMeans({ fetch }: ProviderMeans, { log }: CallContext) {
  return {
    fetch,
    now: () => performance.now(),
    sleep,
    random: Math.random,
    log: (message: string, fields: JsonObject) => log.debug(message, fields),
  }
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  if (signal.aborted) return Promise.reject(signal.reason)
  const onAbort = () => {
    clearTimeout(timer)
    reject(signal.reason)
  }
  const timer = setTimeout(() => {
    signal.removeEventListener('abort', onAbort)
    resolve()
  }, milliseconds)
  signal.addEventListener('abort', onAbort, { once: true })
  return promise
}

const refuseMissing = (attribute: 'endpoint' | 'token', variable: string, example: string) =>
  new ProviderError(`The ${attribute} is not known`, {
    detail: `Give \`${attribute}\` in the provider's configuration, or set ${variable}, as ${example}. \`sluice lab env\` prints those of a lab.`,
    path: [attribute],
  })

/** That somebody answers, who knows the token, and speaks as this provider does. */
async function checkController(api: ReturnType<typeof createApi>, { signal, report }: CallContext): Promise<void> {
  try {
    const { body } = await api.call({ method: 'GET', path: '/v1/me' }, callerSchema, signal)
    const verdict = checkVersion(body.controllerVersion, providerVersion)
    if (verdict === null) return
    if (verdict.severity === 'error') throw new ProviderError([verdict])
    report(verdict)
  } catch (cause) {
    if (!(cause instanceof ApiError)) throw cause
    throw new ProviderError(
      describeRefusal(cause).map((one) => ({ ...one, path: attributeOf(cause) })),
      { cause },
    )
  }
}

function attributeOf({ problem: { code } }: ApiError) {
  if (code === 'unauthenticated') return ['token']
  return code === 'tls' ? ['caCertificate'] : ['endpoint']
}
