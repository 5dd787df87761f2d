/** The config of a collectd that measures this host for its agent, from what the agent itself is told. Pure. */

import { type CollectdNetwork, renderCollectdConfig } from '../../templates/collectd.ts'
import type { AgentCollectdSettings } from '../contract/collectd/settings.ts'
import { typesDbFile } from '../contract/collectd/types-db.ts'
import { pointIntervalSeconds } from '../contract/points.ts'
import { collectdFile, httpPaths } from './collectd-receiver.ts'

export interface OwnCollectd {
  readonly host: string
  /** Where the settings lie, for what is said of them. */
  readonly folder: string
  readonly settings: AgentCollectdSettings | undefined
  /** Plugins that measure. */
  readonly sources: readonly string[]
}

/** By packets where the agent takes them, else by write_http. Throws with what to do where it takes neither. */
export function renderOwnCollectdConfig({ host, folder, settings, sources }: OwnCollectd): string {
  const [listen] = settings?.listen ?? []
  const { httpListen } = settings ?? {}
  const way =
    settings !== undefined && listen !== undefined
      ? { network: describeNetwork(settings, listen, folder) }
      : httpListen !== undefined
        ? { writeUrl: `http://${httpListen.address}:${httpListen.port}${httpPaths.collectd}` }
        : undefined
  if (way === undefined) {
    throw new Error(
      `the agent takes nothing of a collectd: say where in ${collectdFile(folder)}, as docs/collectd.md shows`,
    )
  }
  return renderCollectdConfig({
    host,
    intervalSeconds: pointIntervalSeconds,
    typesFiles: [typesDbFile],
    sources,
    ...way,
  })
}

function describeNetwork(
  { protection, users }: AgentCollectdSettings,
  { address, port }: AgentCollectdSettings['listen'][number],
  folder: string,
): CollectdNetwork {
  if (protection === 'none') return { address, port, protection }
  const [credentials] = Object.entries(users)
  if (credentials === undefined)
    throw new Error(`packets must be ${protection}, and ${collectdFile(folder)} has no users`)
  const [user, password] = credentials
  return { address, port, protection, user, password }
}
