/** Who has more series of a collectd than it may, as hosts report it and as the controller's own door finds it. Pure. */

import type { Explosion } from '../../../agent/contract/collectd/admit-points.ts'
import { originOfSubject } from '../../../agent/contract/points.ts'
import type { Culprit } from '../metrics/series-limit.ts'
import type { ObservedHosts } from '../observed-hosts.ts'

/** A host says it until its agent restarts; what is older has been told. */
const newMilliseconds = 5 * 60 * 1000

export function culpritsOfReports(hosts: Pick<ObservedHosts, 'all'>, now: number): Culprit[] {
  return [...hosts.all()].flatMap(([host, { report }]) => {
    const explosion = report.points?.explosion
    if (explosion === undefined || now - Date.parse(explosion.at) > newMilliseconds) return []
    const refused = report.points?.refused.tooManySeries ?? 0
    const { series, culprit } = explosion
    return [{ owner: host, projectId: null, seriesMaximum: series, host, plugin: culprit, refused }]
  })
}

/** `sender` of each is the subject of its points. */
export function culpritsOfExplosions(explosions: readonly Explosion[]): Culprit[] {
  return explosions.flatMap(({ sender, series, culprit, refused }): Culprit[] => {
    const origin = originOfSubject(sender)
    const common = { seriesMaximum: series, plugin: culprit, refused }
    switch (origin?.kind) {
      case 'host':
        return [{ ...common, owner: origin.host, projectId: null, host: origin.host }]
      case 'project':
        return [{ ...common, owner: origin.projectId, projectId: origin.projectId, host: '' }]
      default:
        return []
    }
  })
}
